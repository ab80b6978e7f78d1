import { FIELD_VALUE, isPolicyHeader } from '../header-rules.ts';
import { showValue } from '../problem.ts';
import { parseAnswerStatus } from './answer-status.ts';
import type { Parsed } from './parsed.ts';

const MOST_HEADERS = 64;
/** They have no body, and their framing has exceptions (RFC 9110 section 15.3.6). */
const UNWRITTEN: ReadonlySet<number> = new Set([205, 206, 304]);
const MEANT =
  'write a status, 200 to 599 or of gRPC like unavailable, and a body, like "503 Back at ten"; or headers in the lines that follow, then an empty line and the body';

/** `503 Back at ten`, or as HTTP itself: the status, lines of headers, an empty line, the body. `off`: none. */
export function parseDirectResponse(text: string): Parsed {
  if (text.trim() === 'off') return { unset: 'directResponse' };
  const { first, head, rest } = split(text.trimStart().replaceAll('\r\n', '\n'));
  const [, word = '', short = ''] = /^(\S+)(?:[ \t]+(.*))?$/.exec(first.trimEnd()) ?? [];
  const answer = parseAnswerStatus(word, 200);
  if (answer === undefined || UNWRITTEN.has(answer.status))
    return { wrong: `has ${showValue(word)} where a status to answer with should be`, meant: MEANT };
  if (short !== '' && rest !== '')
    return { wrong: 'has a body in its first line and another after an empty line', meant: MEANT };
  const body = short || rest;
  if (body !== '' && answer.status === 204) return { wrong: 'has a body, and 204 has none', meant: MEANT };
  if (head.length > MOST_HEADERS) return { wrong: `has more than ${MOST_HEADERS} headers`, meant: MEANT };
  const headers: [string, string][] = [];
  for (const line of head) {
    const { name, value } = header(line);
    if (!isPolicyHeader(name) || !FIELD_VALUE.test(value))
      return { wrong: `has ${showValue(line)}, which is no header that can be written here`, meant: MEANT };
    headers.push([name, value]);
  }
  return { directResponse: { ...answer, headers, body } };
}

/** By hand: an expression with blanks on both sides of a value tries each division of a long line of blanks. */
function header(line: string): { name: string; value: string } {
  const colon = line.indexOf(':');
  return { name: line.slice(0, Math.max(0, colon)), value: line.slice(colon + 1).trim() };
}

function split(text: string): { first: string; head: string[]; rest: string } {
  const gap = /\n[ \t]*\n/.exec(text);
  const [first = '', ...lines] = text.slice(0, gap?.index).split('\n');
  // A block of YAML ends with a line end of its own.
  const head = lines.filter((line) => line.trim() !== '');
  return { first, head, rest: gap === null ? '' : text.slice(gap.index + gap[0].length) };
}

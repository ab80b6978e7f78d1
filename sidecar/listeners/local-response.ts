import { REASONS } from '../../protocol/reasons.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import { phrase } from '../http/phrases.ts';

/**
 * The bytes of a response that Tulle makes itself: RFC 9457 problem details, and `tulle-reason`.
 * Strangers at the edge (`tellsAll` false) get the code but not the words.
 */
export function localResponse(
  exchange: Exchange,
  answer: LocalAnswer,
  close: boolean,
  tellsAll: boolean,
): string {
  const problem = {
    type: `https://tulle.dev/reasons#${answer.code}`,
    title: REASONS[answer.code],
    status: answer.status,
    code: answer.code,
    ...(tellsAll && { detail: answer.detail }),
    ...(exchange.id !== '' && { requestId: exchange.id }),
  };
  const body = toAscii(`${JSON.stringify(problem)}\n`);
  const text =
    `HTTP/1.1 ${answer.status} ${phrase(answer.status)}\r\n` +
    `content-type: application/problem+json\r\ncontent-length: ${body.length}\r\n` +
    `tulle-reason: ${answer.code}\r\n` +
    (exchange.id === '' ? '' : `x-request-id: ${exchange.id}\r\n`) +
    (answer.fields ?? '') +
    (close ? 'connection: close\r\n\r\n' : '\r\n');
  return text + (exchange.method === 'HEAD' ? '' : body);
}

/** Escapes all beyond ASCII: the text is written as latin1, and its length in bytes is its length. */
function toAscii(json: string): string {
  return json.replace(
    /[^\n\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

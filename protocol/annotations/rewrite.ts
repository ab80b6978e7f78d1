import { FIELD_VALUE, isPolicyHeader } from '../header-rules.ts';
import { isLinear, wholeExpression } from '../linear-expression.ts';
import { showValue } from '../problem.ts';
import type { Rewrite } from '../steering.ts';
import type { Parsed, Wrong } from './parsed.ts';

const MOST = 16;
const MEANT =
  'write "path EXPRESSION -> REPLACEMENT", "header NAME: EXPRESSION -> REPLACEMENT" or "response-header NAME: ...", like "path /old/(.*) -> /new/$1"; several are separated by ; and a space, or stand in lines of their own';

/** `path /v1/(.*) -> /v2/$1; header x-user: (.*)@.* -> $1`, or `off`. An expression must match the whole value. */
export function parseRewrite(text: string): Parsed {
  if (text.trim() === 'off') return { unset: 'rewrites' };
  const parts = text.trim().split(/\s*(?:;\s+|\n)\s*/);
  if (parts.length > MOST) return { wrong: `has ${parts.length} rewrites, more than ${MOST}`, meant: MEANT };
  const rewrites: Rewrite[] = [];
  for (const part of parts) {
    const read = parseOne(part);
    if ('wrong' in read) return read;
    rewrites.push(read);
  }
  return { rewrites };
}

function parseOne(part: string): Rewrite | Wrong {
  const [, target = '', expression = '', replacement = ''] =
    /^(path|[\w-]+\s+[^\s:]+\s*:)\s+(\S.*?)\s+->(?:\s+(.*))?$/.exec(part) ?? [];
  const what = targetOf(target);
  if (what === undefined) return { wrong: `has ${showValue(part)}, which is no rewrite`, meant: MEANT };
  const wrong = expressionProblem(expression) ?? replacementProblem(what.what, expression, replacement);
  return wrong === undefined ? { ...what, expression, replacement } : { wrong, meant: MEANT };
}

function targetOf(text: string): Pick<Rewrite, 'what' | 'name'> | undefined {
  if (text === 'path') return { what: 'path', name: '' };
  const [, what, name = ''] = /^(header|response-header)\s+([^\s:]+)\s*:$/.exec(text) ?? [];
  if (!isPolicyHeader(name)) return undefined;
  return { what: what === 'header' ? 'header' : 'response-header', name: name.toLowerCase() };
}

/** Who sends requests must not be able to stop whoever matches them. */
function expressionProblem(expression: string): string | undefined {
  if (wholeExpression(expression) === undefined)
    return `has ${showValue(expression)}, which is no regular expression`;
  if (isLinear(expression)) return undefined;
  return `has ${showValue(expression)}, which cannot be matched in linear time (no lookaheads, backreferences and counts above 16)`;
}

function replacementProblem(
  what: Rewrite['what'],
  expression: string,
  replacement: string,
): string | undefined {
  const shown = showValue(replacement);
  if (what === 'path' ? !/^[/$][\x21-\x7e]*$/.test(replacement) : !FIELD_VALUE.test(replacement))
    return `replaces by ${shown}, which is no ${what === 'path' ? 'path' : 'header value'}`;
  const groups = new RegExp(`${expression}|`).exec('')?.length ?? 1;
  for (const [dollar, number] of replacement.matchAll(/\$(\d\d?|\$)?/g)) {
    if (number === undefined) return `replaces by ${shown}, where a $ stands for nothing; write $$ for a $`;
    if (number !== '$' && (number.startsWith('0') || Number(number) >= groups))
      return `replaces by ${shown}, and the expression has no group ${dollar}`;
  }
  return undefined;
}

import { parseDuration } from '../duration.ts';
import { showValue } from '../problem.ts';
import type { RetryCondition, RetryPolicy } from '../traffic-policy.ts';
import { parseMethods } from './methods.ts';
import type { Parsed, Wrong } from './parsed.ts';

const WORDS: readonly RetryCondition[] = [
  'connect',
  'reset',
  'refused-stream',
  '5xx',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
];
const MEANT =
  'write COUNT on CONDITION,..., like "2 on connect,reset,503", with 0 to 10 retries on connect, reset, refused-stream, 5xx, statuses or gRPC statuses; then, if wanted, "for GET,POST" and "backoff 25ms..250ms"';
const MOST = 10;
/** `2 on connect,reset,503`, with more `for GET,POST` and `backoff 25ms..250ms`; or `0`. */
export function parseRetries(text: string): Parsed {
  if (/^\s*(0|off|none)\s*$/.test(text)) return { retries: { attempts: 0, on: [] } };
  const { count, conditions, methods, backoff } = partsOf(text);
  if (conditions === undefined || !/^\d{1,3}$/.test(count))
    return { wrong: 'is not a retry policy', meant: MEANT };
  const attempts = Number(count);
  if (attempts > MOST) return { wrong: `asks for ${attempts} retries, more than ${MOST}`, meant: MEANT };
  const on: RetryCondition[] = [];
  for (const word of conditions.split(',')) {
    const condition = parseCondition(word.trim());
    if (condition === undefined)
      return { wrong: `has ${showValue(word.trim())}, which is nothing to retry on`, meant: MEANT };
    on.push(condition);
  }
  const more = parseMore(methods, backoff);
  return 'wrong' in more ? more : { retries: { attempts, on, ...more } };
}

/** Word by word: an expression for the whole would take a time that grows faster than a long text. */
function partsOf(
  text: string,
): { count: string } & Partial<Record<'conditions' | 'methods' | 'backoff', string>> {
  const [count = '', on, ...words] = text.trim().split(/\s+/);
  if (on !== 'on' || words.length === 0) return { count };
  const backoffAt = placeOf('backoff', words);
  const forAt = placeOf('for', words.slice(0, backoffAt));
  return {
    count,
    conditions: words.slice(0, forAt).join(' '),
    ...(forAt < backoffAt && { methods: words.slice(forAt + 1, backoffAt).join(' ') }),
    ...(backoffAt < words.length && { backoff: words.slice(backoffAt + 1).join(' ') }),
  };
}

/** Index of the first `word` that something stands before, or their number. */
function placeOf(word: string, words: readonly string[]): number {
  const at = words.indexOf(word, 1);
  return at < 0 ? words.length : at;
}

function parseMore(
  forMethods: string | undefined,
  between: string | undefined,
): Pick<RetryPolicy, 'methods' | 'backoff'> | Wrong {
  const methods = forMethods === undefined ? undefined : parseMethods(forMethods);
  if (forMethods !== undefined && methods === undefined)
    return { wrong: `has ${showValue(forMethods)}, which are no methods`, meant: MEANT };
  const backoff = between === undefined ? undefined : parseBackoff(between);
  if (between !== undefined && backoff === undefined)
    return { wrong: `has ${showValue(between)}, which is no backoff`, meant: MEANT };
  return { ...(methods && { methods }), ...(backoff && { backoff }) };
}

/** The first one may be no longer than the longest. */
function parseBackoff(text: string): RetryPolicy['backoff'] {
  const [base = '', cap = '', ...rest] = text.split('..');
  const baseMs = parseDuration(base);
  const capMs = parseDuration(cap);
  const valid = rest.length === 0 && baseMs !== undefined && capMs !== undefined && baseMs <= capMs;
  return valid ? { baseMs, capMs } : undefined;
}

function parseCondition(word: string): RetryCondition | undefined {
  if (/^[45]\d\d$/.test(word)) return Number(word);
  return WORDS.find((known) => known === word);
}

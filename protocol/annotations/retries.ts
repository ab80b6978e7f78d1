import { showValue } from '../problem.ts';
import type { RetryCondition } from '../traffic-policy.ts';
import type { Parsed } from './parsed.ts';

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
  'write COUNT on CONDITION,..., like "2 on connect,reset,503", with 0 to 10 retries on connect, reset, refused-stream, 5xx, statuses or gRPC statuses';
const MOST = 10;

/** `2 on connect,reset,503`, or `0`. */
export function parseRetries(text: string): Parsed {
  if (/^\s*(0|off|none)\s*$/.test(text)) return { retries: { attempts: 0, on: [] } };
  const match = /^\s*(\d{1,3})\s+on\s+(\S.*)$/.exec(text);
  if (match === null) return { wrong: 'is not a retry policy', meant: MEANT };
  const attempts = Number(match[1]);
  if (attempts > MOST) return { wrong: `asks for ${attempts} retries, more than ${MOST}`, meant: MEANT };
  const on: RetryCondition[] = [];
  for (const word of (match[2] ?? '').split(',')) {
    const condition = parseCondition(word.trim());
    if (condition === undefined)
      return { wrong: `has ${showValue(word.trim())}, which is nothing to retry on`, meant: MEANT };
    on.push(condition);
  }
  return { retries: { attempts, on } };
}

function parseCondition(word: string): RetryCondition | undefined {
  if (/^[45]\d\d$/.test(word)) return Number(word);
  return WORDS.find((known) => known === word);
}

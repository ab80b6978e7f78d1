import type { Parsed } from './parsed.ts';

/** `20% + 10/s`. */
export function parseRetryBudget(text: string): Parsed {
  const match = /^\s*(\d{1,3}(?:\.\d+)?)\s*%\s*(?:\+\s*(\d{1,6})\s*\/\s*s)?\s*$/.exec(text);
  const percent = Number(match?.[1]);
  if (match === null || percent > 100)
    return { wrong: 'is not a retry budget', meant: 'write PERCENT% + COUNT/s, like "20% + 10/s"' };
  return { retryBudget: { ratio: percent / 100, perSecond: Number(match[2] ?? 0) } };
}

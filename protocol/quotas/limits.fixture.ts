import { parseRateLimit } from '../annotations/rate-limit.ts';
import type { RateLimit } from '../traffic-policy.ts';

/** What `tulle.dev/rate-limit: TEXT` says. Throws where that is nothing. */
export function limitsOf(text: string): readonly RateLimit[] {
  const parsed = parseRateLimit(text);
  if (!('rateLimits' in parsed) || parsed.rateLimits === undefined) throw new Error(`no limits: ${text}`);
  return parsed.rateLimits;
}

/** The first of them. */
export function limitOf(text: string): RateLimit {
  const [limit] = limitsOf(text);
  if (limit === undefined) throw new Error(`no limit: ${text}`);
  return limit;
}

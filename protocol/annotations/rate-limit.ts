import { showValue } from '../problem.ts';
import type { RateLimit } from '../traffic-policy.ts';
import type { Parsed } from './parsed.ts';

const PER: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BY = /^(client|ip|path|api-key|header:[\w-]+|claim:[\w.-]+)$/;
const MEANT =
  'write COUNT/s, with "burst COUNT" and "by client" if wanted, like "100/s burst 200 by client"; by what: client, ip, path, api-key, header:NAME, claim:NAME; several limits are separated by ;';

/** `100/s burst 200 by client; 10000/h`. */
export function parseRateLimit(text: string): Parsed {
  const rateLimits: RateLimit[] = [];
  for (const part of text.split(';')) {
    const limit = parseOne(part.trim());
    if (limit === undefined)
      return { wrong: `has ${showValue(part.trim())}, which is no rate limit`, meant: MEANT };
    rateLimits.push(limit);
  }
  return { rateLimits };
}

function parseOne(part: string): RateLimit | undefined {
  const match =
    /^(\d{1,9})\s*\/\s*([smhd])(?:\s+burst\s+(\d{1,9}))?(?:\s+by\s+([^\s,]+(?:\s*,\s*[^\s,]+)*))?$/.exec(
      part,
    );
  if (match === null) return undefined;
  const tokens = Number(match[1]);
  const burst = match[3] === undefined ? tokens : Number(match[3]);
  const by = match[4] === undefined ? [] : match[4].split(',').map((key) => key.trim());
  if (tokens === 0 || burst === 0 || !by.every((key) => BY.test(key))) return undefined;
  return { tokens, perMs: PER[match[2] ?? 's'] ?? 1000, burst, by };
}

import { showValue } from '../problem.ts';
import type { Parsed } from './parsed.ts';

const MEANT =
  'write connections, pending and requests with a count each, like "connections 1024, pending 1024, requests 4096"';

/** `connections 1024, pending 1024, requests 4096`; parts that are left out keep their default. */
export function parseLimits(
  text: string,
  base: { connections: number; pending: number; requests: number },
): Parsed {
  const limits = { ...base };
  for (const part of text.split(',')) {
    const match = /^\s*(connections|pending|requests)\s+(\d{1,7})\s*$/.exec(part);
    const count = Number(match?.[2]);
    if (match === null || count === 0)
      return { wrong: `has ${showValue(part.trim())}, which is no limit`, meant: MEANT };
    limits[match[1] as keyof typeof limits] = count; // the expression knows just these names
  }
  return { limits };
}

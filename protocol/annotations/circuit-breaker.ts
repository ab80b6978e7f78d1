import { parseDuration } from '../duration.ts';
import { showValue } from '../problem.ts';
import type { Parsed } from './parsed.ts';

const MEANT =
  'write failures COUNT, eject SHORTEST..LONGEST, max PERCENT%, like "failures 5, eject 5s..60s, max 50%"';

/** `failures 5, eject 5s..60s, max 50%`; parts that are left out keep their default. */
export function parseCircuitBreaker(
  text: string,
  base: { failures: number; ejectMinMs: number; ejectMaxMs: number; maxEjectedPercent: number },
): Parsed {
  const breaker = { ...base };
  for (const part of text.split(',')) {
    if (!readPart(part.trim(), breaker))
      return { wrong: `has ${showValue(part.trim())}, which is no part of a circuit breaker`, meant: MEANT };
  }
  if (breaker.ejectMinMs > breaker.ejectMaxMs)
    return { wrong: 'ejects for a shortest time that is above the longest', meant: MEANT };
  return { circuitBreaker: breaker };
}

function readPart(
  part: string,
  breaker: { failures: number; ejectMinMs: number; ejectMaxMs: number; maxEjectedPercent: number },
): boolean {
  const failures = /^failures\s+(\d{1,6})$/.exec(part)?.[1];
  if (failures !== undefined) {
    breaker.failures = Number(failures);
    return breaker.failures > 0;
  }
  const percent = /^max\s+(\d{1,3})%$/.exec(part)?.[1];
  if (percent !== undefined) {
    breaker.maxEjectedPercent = Number(percent);
    return breaker.maxEjectedPercent <= 100;
  }
  const [, from = '', to = ''] = /^eject\s+(\S+?)\.\.(\S+)$/.exec(part) ?? [];
  const [shortest, longest] = [parseDuration(from), parseDuration(to)];
  if (shortest === undefined || longest === undefined) return false;
  breaker.ejectMinMs = shortest;
  breaker.ejectMaxMs = longest;
  return true;
}

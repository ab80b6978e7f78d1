import { DEFAULT_SETTINGS } from '../default-settings.ts';
import { parseDuration } from '../duration.ts';
import { showValue } from '../problem.ts';
import type { CircuitBreakerSettings, TrafficSettings } from '../traffic-policy.ts';
import type { Parsed } from './parsed.ts';

const MEANT =
  'write failures COUNT, eject SHORTEST..LONGEST, max PERCENT%, success PERCENT% of COUNT in TIME, like "failures 5, eject 5s..60s, max 50%", or off';

const SHORTEST_WINDOW_MS = 1_000;
const LONGEST_WINDOW_MS = 600_000;

type Writable = { -readonly [Name in keyof CircuitBreakerSettings]: CircuitBreakerSettings[Name] };

/** `failures 5, eject 5s..60s, max 50%, success 50% of 20 in 10s`, or `off`; parts that are left out stay as they were. */
export function parseCircuitBreaker(
  text: string,
  base: Pick<TrafficSettings, 'circuitBreaker'> = DEFAULT_SETTINGS,
): Parsed {
  if (text.trim() === 'off') return { unset: 'circuitBreaker' };
  const breaker = { ...(base.circuitBreaker ?? DEFAULT_SETTINGS.circuitBreaker) } as Writable; // the default has one
  for (const part of text.split(',')) {
    if (!readPart(part.trim(), breaker))
      return { wrong: `has ${showValue(part.trim())}, which is no part of a circuit breaker`, meant: MEANT };
  }
  if (breaker.ejectMinMs > breaker.ejectMaxMs)
    return { wrong: 'ejects for a shortest time that is above the longest', meant: MEANT };
  return { circuitBreaker: breaker };
}

function readPart(part: string, breaker: Writable): boolean {
  switch (/^[a-z]+/.exec(part)?.[0]) {
    case 'failures':
      return readFailures(part, breaker);
    case 'max':
      return readMax(part, breaker);
    case 'eject':
      return readEject(part, breaker);
    case 'success':
      return readSuccess(part, breaker);
    default:
      return false;
  }
}

function readFailures(part: string, breaker: Writable): boolean {
  breaker.failures = Number(/^failures\s+(\d{1,6})$/.exec(part)?.[1] ?? 0);
  return breaker.failures > 0;
}

function readMax(part: string, breaker: Writable): boolean {
  breaker.maxEjectedPercent = Number(/^max\s+(\d{1,3})%$/.exec(part)?.[1] ?? 101);
  return breaker.maxEjectedPercent <= 100;
}

function readEject(part: string, breaker: Writable): boolean {
  const [, from = '', to = ''] = /^eject\s+(\S+?)\.\.(\S+)$/.exec(part) ?? [];
  const [shortest, longest] = [parseDuration(from), parseDuration(to)];
  if (shortest === undefined || longest === undefined) return false;
  breaker.ejectMinMs = shortest;
  breaker.ejectMaxMs = longest;
  return true;
}

function readSuccess(part: string, breaker: Writable): boolean {
  if (/^success\s+off$/.test(part)) {
    delete breaker.success;
    return true;
  }
  const [, share = '', attempts = '', time = ''] =
    /^success\s+(\d{1,3})%\s+of\s+(\d{1,6})\s+in\s+(\S+)$/.exec(part) ?? [];
  const [percent, count, windowMs] = [Number(share), Number(attempts), parseDuration(time) ?? 0];
  breaker.success = { percent, count, windowMs };
  const inTime = windowMs >= SHORTEST_WINDOW_MS && windowMs <= LONGEST_WINDOW_MS;
  return percent > 0 && percent <= 100 && count > 0 && inTime;
}

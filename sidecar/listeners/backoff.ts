import type { RetryPolicy } from '../../protocol/traffic-policy.ts';
import type { Pending } from '../routing/plan.ts';

/** Envoy's first interval and its cap of ten times that. */
const DEFAULT_BACKOFF = { baseMs: 25, capMs: 250 };

/** A backoff that a route says grows no further than this many times the first. */
const MOST_TIMES = 8;

/**
 * The wait before retry number `retry` (from 1), by full jitter: anything between nothing and twice as long each
 * time, so that those who failed together do not come back together (M. Brooker, "Exponential Backoff and
 * Jitter", 2015).
 */
export function fullJitterMs(
  { baseMs, capMs }: NonNullable<RetryPolicy['backoff']> = DEFAULT_BACKOFF,
  retry: number,
  random: () => number = Math.random,
): number {
  return random() * Math.min(capMs, baseMs * 2 ** (retry - 1));
}

/**
 * The wait that a route asks for (GEP-1731): never shorter than `leastMs`, twice as long each time, and a little
 * longer by chance.
 */
export function backoffMs(leastMs: number, retry: number, random: () => number = Math.random): number {
  return leastMs * Math.min(2 ** (retry - 1), MOST_TIMES) * (1 + random() / 4);
}

/** A wait of `ms`. */
export function pause(ms: number): Pending {
  return {
    wait(proceed) {
      // Timers of Node may come a fraction of a millisecond early.
      const timer = setTimeout(proceed, Math.ceil(ms) + 1);
      return () => clearTimeout(timer);
    },
  };
}

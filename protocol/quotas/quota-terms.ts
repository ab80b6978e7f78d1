import type { RateLimit } from '../traffic-policy.ts';

/** Leases are of about so many ms' worth. */
export const LEASE_MS = 100;
/** What lives shorter may have ended before its answer is there, in ms: then tokens are drawn one by one, for who waits. */
const LEAST_LEASE_MS = 20;
/** So long after it was asked for at most, a token that was drawn for one request is used, in ms. */
export const EXACT_LAG_MS = 30;
/** Of a bucket, how much leases may take away from its burst, and how much tokens that are drawn one by one. */
const SHARE_OF_BURST = 0.2;
const EXACT_SHARE_OF_BURST = 0.5;
/** Of a window, how much leases may make it longer. */
const SHARE_OF_WINDOW = 0.02;
/** Parts of a window that are counted apart. */
const GRANULES = 500;
/**
 * Without another message places are taken away after so long, in ms. No longer than a store that begins without
 * memory gives nothing (`GRACE_MS`): by then nobody holds places that it does not know.
 */
const PLACES_MS = 1_000;

/**
 * What a store computes a limit with. Tokens are used up to `lifeMs` after they were debited, so the store keeps a
 * smaller burst, or a longer window, than the limit names: then what is *used* never exceeds the limit. A bucket of
 * burst B' = B - rate * lag debits at most B' + rate * (T + lag) = B + rate * T in what is used in any T.
 */
export interface QuotaTerms {
  readonly algorithm: RateLimit['algorithm'];
  /** Of `token-bucket` the burst that the store keeps while tokens are drawn, else as the limit says. */
  readonly capacity: number;
  /** Of `token-bucket` as the limit says, what is there after a rest; else 0. */
  readonly burst: number;
  /** Tokens that come back, a ms; of `concurrency` 0. */
  readonly rate: number;
  /** What the store counts over, in ms; of `token-bucket` and `concurrency` 0. */
  readonly windowMs: number;
  /** Debits are noted with this precision, never too early, in ms. */
  readonly granuleMs: number;
  /** How long tokens may be used, in ms; 0: at once, for the request that waits. */
  readonly lifeMs: number;
  /** How long after its debit a token can be given back, in ms. */
  readonly returnMs: number;
}

/** The terms of a limit. */
export function quotaTerms(limit: RateLimit): QuotaTerms {
  const { algorithm, tokens, perMs, burst } = limit;
  if (algorithm === 'concurrency') {
    const none = { burst: 0, rate: 0, windowMs: 0, granuleMs: 0, returnMs: 0 };
    return { algorithm, capacity: tokens, lifeMs: PLACES_MS, ...none };
  }
  const rate = tokens / perMs;
  const exact = limit.mode === 'exact';
  if (algorithm === 'token-bucket') {
    const leaseMs = Math.min(LEASE_MS, (SHARE_OF_BURST * burst) / rate);
    const leases = !exact && leaseMs >= LEAST_LEASE_MS && burst - rate * leaseMs >= 1;
    const lagMs = leases ? leaseMs : Math.min(EXACT_LAG_MS, (EXACT_SHARE_OF_BURST * burst) / rate);
    return {
      algorithm,
      capacity: Math.max(1, burst - rate * lagMs),
      burst,
      rate,
      windowMs: 0,
      granuleMs: 0,
      lifeMs: leases ? lagMs : 0,
      returnMs: lagMs,
    };
  }
  const lagMs = exact ? EXACT_LAG_MS : Math.min(LEASE_MS, SHARE_OF_WINDOW * perMs);
  return {
    algorithm,
    capacity: tokens,
    burst: 0,
    rate,
    windowMs: perMs + lagMs,
    granuleMs: Math.max(1, perMs / GRANULES),
    lifeMs: exact ? 0 : lagMs,
    // A short life ends before what is left of it can be given back, and what was not used need not count.
    returnMs: exact ? EXACT_LAG_MS : LEASE_MS,
  };
}

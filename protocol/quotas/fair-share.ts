import { LEASE_MS, type QuotaTerms } from './quota-terms.ts';

type Shared = Pick<QuotaTerms, 'rate' | 'lifeMs'>;

/**
 * The most that one of `sharers` gets by one draw of a bucket with `free` tokens, `sinceMs` after its last: its part of
 * what is there, or of what came back since then. So all who want more than there is get the same, in the long run.
 * What others leave is for anybody, half of it each time, but for a reserve in which they find their part. Never less than 1, else many
 * sharers of few tokens would get nothing at all. The Redis store computes the same (control-plane/quotas/scripts.ts).
 */
export function fairShare(free: number, { rate, lifeMs }: Shared, sharers: number, sinceMs: number): number {
  const cameBack = rate * Math.min(Math.max(0, sinceMs), LEASE_MS);
  const left = Math.min(free - (rate * lifeMs) / 2, rate * LEASE_MS) / 2;
  return Math.max(1, Math.floor(free / sharers), Math.floor(cameBack / sharers), Math.floor(left));
}

/**
 * How long until it is worth asking for the `missing` tokens that a draw did not get: when its part of what comes back is
 * as many, or half the life of a lease has passed. What is not drawn meanwhile stays in the bucket, so nothing is lost.
 */
export function pauseMs(missing: number, { rate, lifeMs }: Shared, sharers: number): number {
  return Math.min((missing * sharers) / rate, lifeMs / 2);
}

import { LEASE_MS, type QuotaTerms } from './quota-terms.ts';

type Shared = Pick<QuotaTerms, 'rate' | 'lifeMs'>;

/**
 * The most that one of `sharers` gets by one draw of a bucket with `free` tokens, `sinceMs` after its last: its part of
 * what came back since then, so that all who want more than there is get the same. What others left is for anybody, an
 * even part of it or half of a lease's worth, but for a reserve in which the others find their part. Never less than 1,
 * else many sharers of few tokens would get nothing at all. The Redis store computes the same
 * (control-plane/quotas/scripts.ts).
 */
export function fairShare(free: number, { rate, lifeMs }: Shared, sharers: number, sinceMs: number): number {
  const cameBack = rate * Math.min(Math.max(0, sinceMs), LEASE_MS);
  const beyond = free - Math.floor(((rate * lifeMs) / 2) * (1 - 1 / sharers));
  const left = Math.min(beyond, rate * LEASE_MS) / 2;
  return Math.max(1, Math.floor(beyond / sharers), Math.floor(cameBack / sharers), Math.floor(left));
}

/**
 * How long until it is worth asking for the `missing` tokens that a draw did not get: when its part of what comes back is
 * as many, or half the life of a lease has passed. What is not drawn meanwhile stays in the bucket, so nothing is lost.
 */
export function pauseMs(missing: number, { rate, lifeMs }: Shared, sharers: number): number {
  return Math.min((missing * sharers) / rate, lifeMs / 2);
}

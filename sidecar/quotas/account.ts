import type { RateLimit } from '../../protocol/traffic-policy.ts';
import type { QuotaNumbers } from './quota-numbers.ts';

/** There is a token for one request. */
export const HAS = 0;
/** There is none, and there will be none before `retryAfterMs`. */
export const REFUSED = 1;
/** Only the store knows: it is being asked, or must be. */
export const ASKS = 2;

export type Look = typeof HAS | typeof REFUSED | typeof ASKS;

/** What a quota has for one subject: for those who are counted together. Times on the monotonic clock, in ms. */
export interface Account {
  readonly quota: Quota;
  readonly subject: string;
  /** When a request last came. */
  readonly usedMs: number;
  /** Says what there is for a request that came. */
  look(nowMs: number): Look;
  /** The same, of a request that was looked at before. */
  lookAgain(nowMs: number): Look;
  /** Takes one, right after it was said that there is one. */
  take(nowMs: number): void;
  /** The request that took one is over. Of quotas of time nothing comes back. */
  release(nowMs: number): void;
  /** Has the store asked for `waiter`; `wakes`: it is told when there is an answer. */
  ask(waiter: Waiting, wakes: boolean): void;
  /** How long until there may be one, after REFUSED. */
  retryAfterMs(nowMs: number): number;
  /** What the quota has left, and in how many ms it is whole again, as far as it is known here. */
  remaining(nowMs: number): number;
  resetMs(nowMs: number): number;
  /** The store is asked for each request. */
  readonly exact: boolean;
  /** Why it is decided without the store, or ''. */
  readonly outage: string;
}

/** One limit of a service. */
export interface Quota {
  /** As `quotaIds` names it. */
  readonly id: string;
  readonly limit: RateLimit;
  readonly numbers: QuotaNumbers;
  account(subject: string, nowMs: number): Account;
  /** Tokens that were drawn and are not used, or places that are held. */
  held(): number;
}

/** A request that waits for the store. */
export interface Waiting {
  readonly accounts: readonly Account[];
  readonly sinceMs: number;
  readonly over: boolean;
  /** Something came that may decide it. */
  wake(nowMs: number): void;
}

/** Where the quotas of this data plane are kept. */
export interface QuotaSource {
  /** The quotas of a service, one for each of its limits; those that it had keep what they hold. */
  quotasOf(service: string, limits: readonly RateLimit[]): readonly Quota[];
  /** All that were asked for. */
  all(): Iterable<Quota>;
  close(): void;
}

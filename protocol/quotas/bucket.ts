import type { Presence } from './presence.ts';
import type { QuotaTerms } from './quota-terms.ts';

/** What is known of one quota for one subject. Times in ms by the store's clock, which never goes back. */
export interface Bucket {
  /** Brings it to `nowMs`; comes before all else. */
  refresh(terms: QuotaTerms, presence: Pick<Presence, 'part' | 'spans'>, nowMs: number): void;
  /** Whole tokens that may be debited. */
  free(): number;
  debit(count: number): void;
  /** Credits tokens that were debited at `drawnMs` and not used. */
  giveBack(count: number, drawnMs: number): void;
  /** More may be allowed after so long, whatever was used, in ms: others come back. */
  readonly allowedMs: number;
  /** How long until `count` are free of what is allowed now when nobody draws, in ms. */
  waitMs(count: number): number;
  /** How long until it is as if never used, in ms. */
  resetMs(): number;
}

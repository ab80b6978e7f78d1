import type { QuotaDraw, QuotaDrawn, QuotaMember } from '../../protocol/quotas/memory-quotas.ts';
import type { ServiceKey } from '../../protocol/service.ts';

/** The store cannot be asked now: sidecars decide as `onOutage` says. */
export class StoreOutage extends Error {
  readonly code = 'ERR_QUOTA_OUTAGE';
}

/** New numbers of a quota. */
export interface AnnouncedQuota {
  readonly quota: string;
  readonly tokens: number;
  readonly perMs: number;
  readonly burst: number;
}

/** What a store counts, since the start. */
export interface StoreNumbers {
  readonly kind: 'memory' | 'redis';
  /** Why it cannot be asked now, in words. */
  readonly outage: string | undefined;
  readonly outageSeconds: number;
  /** Commands that were sent to Redis. */
  readonly commands: number;
  /** Time that draws took in all, in seconds, and how many there were. */
  readonly drawSeconds: number;
  readonly drawsTimed: number;
}

/** Where quotas are counted. All limits of a service are drawn together. */
export interface QuotaStore {
  /**
   * Debits what is granted. `exact`: all draws are granted whole, or none; they are of different quotas. `member`: the
   * sidecar that draws. `told`: how many share, as it was told last, here or elsewhere; 0: nothing. `sharing`: it is
   * on its share of an outage until it is answered. Rejects with StoreOutage, soon: nothing was granted then, and what was
   * given back is lost.
   */
  draw(
    service: ServiceKey,
    member: string,
    exact: boolean,
    draws: readonly QuotaDraw[],
    told?: number,
    sharing?: boolean,
  ): Promise<QuotaDrawn>;
  /** These sidecars answered lately, whether they draw or not. */
  contact(service: ServiceKey, members: readonly QuotaMember[]): void;
  /** A sidecar draws no more: its share is for the others, and its places when their time is over. */
  leave(service: ServiceKey, member: string): void;
  /** Tells all control planes of this store, this one included, that quotas of a service have other numbers. */
  announce(service: ServiceKey, quotas: readonly AnnouncedQuota[]): void;
  onAnnounced(listener: (service: ServiceKey, quotas: readonly AnnouncedQuota[]) => void): void;
  numbers(): StoreNumbers;
  close(): Promise<void>;
}

import type { QuotaGrant } from '../../protocol/quotas/messages.ts';
import { ABSENT_MS, SHARE_AFTER_MS } from '../../protocol/quotas/presence.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import type { Account, Quota, Waiting } from './account.ts';
import type { DrawnAccount } from './drawn-account.ts';
import { Lease } from './lease.ts';
import { Places } from './places.ts';
import { QuotaNumbers } from './quota-numbers.ts';
import { Subjects } from './subjects.ts';

/** After so long without a request nobody needs to know whether the store is back, in ms. */
export const UNUSED_MS = 5_000;

/** What accounts ask of the one who speaks to the store. */
export interface Drawer {
  /** Counts connections to the store: what was drawn by one before cannot be given back by this one. */
  readonly connection: number;
  /** Sends what the account wants and gives back, with the next message. */
  queue(account: DrawnAccount): void;
  /** Asks for one token of `account` for this request alone, together with its others. */
  queueExact(account: DrawnAccount, waiter: Waiting): void;
  /** The waiter is woken in time, whatever comes. */
  watch(waiter: Waiting): void;
  /** The account holds something that ends with time. */
  tend(account: DrawnAccount): void;
  /** Quotas are in use: the store must hear of it, and be asked whether it is back. */
  keepAwake(): void;
}

/** What all quotas of a service know of its other sidecars. */
export interface Told {
  /** Sidecars that draw on quotas of the service; 0: never told. */
  sharers: number;
}

/** The store cannot be asked. */
interface Outage {
  readonly sinceMs: number;
  readonly detail: string;
}

/** A quota of which tokens are drawn from a store. */
export class DrawnQuota implements Quota {
  readonly id: string;
  readonly service: string;
  limit: RateLimit;
  readonly numbers = new QuotaNumbers();
  readonly drawer: Drawer;
  readonly subjects: Subjects<DrawnAccount>;
  /** It is too small for leases: the store grants for one request at a time. */
  servedExact = false;
  outage: Outage | undefined = undefined;
  readonly told: Told;
  /** When the last message that was answered was sent, ms. */
  contactMs = Number.NEGATIVE_INFINITY;
  /** Of the account that was last asked for. */
  lastAsked: DrawnAccount | undefined = undefined;
  usedMs = Number.NEGATIVE_INFINITY;
  probedMs = Number.NEGATIVE_INFINITY;
  /** How often it was asked in this outage whether it is back. */
  probes = 0;

  constructor(id: string, service: string, limit: RateLimit, drawer: Drawer, told: Told) {
    this.told = told;
    this.id = id;
    this.service = service;
    this.limit = limit;
    this.drawer = drawer;
    this.subjects = new Subjects(
      (subject): DrawnAccount =>
        limit.algorithm === 'concurrency' ? new Places(this, subject) : new Lease(this, subject),
    );
  }

  get sharers(): number {
    return this.told.sharers;
  }

  get exact(): boolean {
    return this.servedExact || this.limit.mode === 'exact';
  }

  account(subject: string, nowMs: number): Account {
    const account = this.subjects.get(subject, nowMs);
    if (this.subjects.isOthers(account)) this.numbers.overflow++;
    return account;
  }

  held(): number {
    let held = 0;
    for (const account of this.subjects.all()) held += account.held;
    return held;
  }

  /** The store has answered what was sent at `sentMs`. */
  heard({ sharers }: QuotaGrant, sentMs: number): void {
    this.told.sharers = sharers;
    if (sentMs > this.contactMs) this.contactMs = sentMs;
    this.outage = undefined;
  }

  /** It has not. Returns whether it is the first that is heard of this outage. */
  lost(detail: string, nowMs: number): boolean {
    if (this.outage !== undefined) {
      // The first one may not have known yet why.
      this.outage = { ...this.outage, detail };
      return false;
    }
    this.outage = { sinceMs: nowMs, detail };
    this.probes = 0;
    return true;
  }

  /** It is used while the store is away: by `account` at least, it is to be asked for. */
  keepsAsking(account: DrawnAccount, nowMs: number): void {
    this.lastAsked ??= account;
    this.usedMs = nowMs;
    this.drawer.keepAwake();
  }

  /** From when on its share may be used while the store is away: by then the store gives it to nobody else. */
  shareFromMs({ sinceMs }: Outage): number {
    return sinceMs + SHARE_AFTER_MS;
  }

  /**
   * Its share of an outage is in use, or will be before the store could find out by itself that this sidecar is absent:
   * what asks in vain may reach the store, and would be a contact. What is no quota any more is never heard of again, and not used
   * either.
   */
  isSharing(nowMs: number): boolean {
    const { outage, limit, usedMs } = this;
    if (limit.onOutage !== 'share' || outage === undefined) return false;
    return nowMs >= outage.sinceMs + ABSENT_MS && nowMs - usedMs < UNUSED_MS;
  }

  /** Its numbers are others now. */
  limitChanged(nowMs: number): void {
    this.servedExact = false;
    for (const account of this.subjects.all()) account.limitChanged(nowMs);
  }
}

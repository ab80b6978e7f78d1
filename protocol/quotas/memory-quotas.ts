import type { ServiceKey } from '../service.ts';
import type { RateLimit } from '../traffic-policy.ts';
import type { Bucket } from './bucket.ts';
import { type Drawer, Drawers } from './drawers.ts';
import { fairShare, pauseMs } from './fair-share.ts';
import type { QuotaGrant } from './messages.ts';
import { Places } from './places.ts';
import { FORGET_MS, leastPart, Presence } from './presence.ts';
import { LEASE_MS, type QuotaTerms, quotaTerms } from './quota-terms.ts';
import { SlidingEstimate } from './sliding-estimate.ts';
import { SlidingWindow } from './sliding-window.ts';
import { TokenBucket } from './token-bucket.ts';

/** What is asked of a store for one quota and subject. */
export interface QuotaDraw {
  readonly quota: string;
  readonly subject: string;
  readonly limit: RateLimit;
  /** As in messages.ts. */
  readonly want: number;
  /** Drawn before and not used, by the time in ms at which the store granted them. */
  readonly back: readonly { readonly count: number; readonly drawnMs: number }[];
}

/** A sidecar that draws. */
export interface QuotaMember {
  readonly name: string;
  /** How many share the service's quotas, as it was told last; 0: it was never told. */
  readonly told: number;
}

/** What a store answers. */
export interface QuotaDrawn {
  /** By the store's clock, in ms. */
  readonly atMs: number;
  /** One for each draw, in their order. */
  readonly grants: readonly QuotaGrant[];
}

export interface MemoryQuotasOptions {
  /** A clock that never goes back, in ms. */
  readonly now: () => number;
  /** Before it, all quotas may have been used; -Infinity: they were not. */
  readonly bornMs: number;
  /** The most subjects of a service that are told apart; more share one bucket of each quota. */
  readonly maxBuckets?: number;
}

/** Each takes some 500 bytes. */
const MAX_BUCKETS = 200_000;
/** All services together have no more than so many times those of one. */
const MAX_SHARE = 2;
/** So many buckets are looked at for each that is drawn on: those that are as if never used are forgotten. */
const LOOKED_AT = 4;
/** Of what was drawn no longer ago than this, something may be given back: it is left alone, in ms. */
const RESTS_MS = 1_000;
/** So many when nobody draws. */
const LOOKED_AT_IN_REST = 400;
const OTHERS = '\u0000others';

interface Entry {
  usedMs: number;
  terms: QuotaTerms;
  /** Of the places, what the store decides on. */
  part: number;
  limit: RateLimit;
  /** Of `concurrency` none. */
  readonly bucket: Bucket | undefined;
  readonly places: Places;
  readonly drawers: Drawers;
}

/** Of what is no `concurrency`. */
const NO_PLACES = new Places();

interface Asked {
  readonly draw: QuotaDraw;
  readonly entry: Entry;
  readonly drawer: Drawer;
}

/** Of who does not share what there is. */
const ALONE: Drawer = { sharers: 1, sinceMs: 0 };

interface ServiceQuotas {
  readonly presence: Presence;
  /** Those that were looked at longest ago go first. */
  readonly entries: Map<string, Entry>;
  usedMs: number;
}

/** Quotas in the memory of one process. The Redis store computes the same (control-plane/quotas/scripts.ts). */
export class MemoryQuotas {
  /** Those that were looked after longest ago go first. */
  private readonly services = new Map<ServiceKey, ServiceQuotas>();
  /** Of all services. */
  private buckets = 0;
  private readonly terms = new WeakMap<RateLimit, QuotaTerms>();
  private readonly now: () => number;
  private readonly bornMs: number;
  private readonly maxBuckets: number;

  constructor({ now, bornMs, maxBuckets = MAX_BUCKETS }: MemoryQuotasOptions) {
    this.now = now;
    this.bornMs = bornMs;
    this.maxBuckets = maxBuckets;
  }

  /**
   * `exact`: all draws are granted whole, or none; they are of different quotas. `member`: who draws. `told`: how many share,
   * as it was told last; 0: nothing.
   */
  draw(
    service: ServiceKey,
    member: string,
    exact: boolean,
    draws: readonly QuotaDraw[],
    told = 0,
    sharing = false,
  ): QuotaDrawn {
    const nowMs = this.now();
    const known = this.serviceOf(service, nowMs);
    known.presence.evaluate(nowMs);
    const sharers = known.presence.contact(member, nowMs, told, sharing);
    this.tidy(known, nowMs, LOOKED_AT * (draws.length + 1));
    this.tidyNext(nowMs, LOOKED_AT * (draws.length + 1));
    const asked = draws.map((draw): Asked => {
      const entry = this.entryOf(known, draw, nowMs);
      return { draw, entry, drawer: draw.want === 0 || exact ? ALONE : entry.drawers.drew(member, nowMs) };
    });
    for (const { draw, entry } of asked) giveBack(entry, draw.back, nowMs);
    const count = ({ draw, entry, drawer }: Asked): number =>
      grantable(entry, member, draw.want, exact, drawer);
    const none = exact && asked.some((one) => count(one) < one.draw.want);
    const grants = asked.map((one): QuotaGrant => {
      const { entry, drawer } = one;
      const { quota, subject, want } = one.draw;
      const granted = grant(entry, member, want, none ? 0 : count(one), exact, drawer, nowMs);
      return { quota, subject, ...granted, sharers };
    });
    return { atMs: nowMs, grants };
  }

  /** These are there, whether they draw or not. */
  contact(service: ServiceKey, members: readonly QuotaMember[]): void {
    const known = this.services.get(service);
    if (known === undefined) return;
    const nowMs = this.now();
    known.presence.evaluate(nowMs);
    for (const { name, told } of members) known.presence.touch(name, nowMs, told);
    this.tidyNext(nowMs, LOOKED_AT_IN_REST);
  }

  /** A member draws no more. Its places end by themselves: its requests may go on, and it may come back by another way. */
  leave(service: ServiceKey, member: string): void {
    this.services.get(service)?.presence.leave(member);
  }

  /** How many buckets there are. */
  get size(): number {
    return this.buckets;
  }

  private serviceOf(service: ServiceKey, nowMs: number): ServiceQuotas {
    let known = this.services.get(service);
    if (known === undefined) {
      known = { presence: new Presence(this.bornMs), entries: new Map(), usedMs: nowMs };
      this.services.set(service, known);
    }
    known.usedMs = nowMs;
    return known;
  }

  private entryOf({ presence, entries }: ServiceQuotas, draw: QuotaDraw, nowMs: number): Entry {
    const name = `${draw.quota}\n${draw.subject}`;
    const room = entries.size < this.maxBuckets && this.buckets < MAX_SHARE * this.maxBuckets;
    const full = !room && !entries.has(name);
    const key = full ? `${draw.quota}\n${OTHERS}` : name;
    let entry = entries.get(key);
    if (entry === undefined) {
      const bucket = bucketOf(draw.limit);
      entry = {
        usedMs: nowMs,
        terms: this.termsOf(draw.limit),
        part: 1,
        limit: draw.limit,
        bucket,
        places: bucket === undefined ? new Places() : NO_PLACES,
        drawers: new Drawers(),
      };
      entries.set(key, entry);
      this.buckets++;
    } else if (entry.limit !== draw.limit) {
      entry.limit = draw.limit;
      entry.terms = this.termsOf(draw.limit);
    }
    entry.usedMs = nowMs;
    entry.bucket?.refresh(entry.terms, presence, nowMs);
    entry.places.refresh(nowMs);
    entry.part = leastPart(presence, nowMs, 0).part;
    return entry;
  }

  /** Buckets of one limit have them together. */
  private termsOf(limit: RateLimit): QuotaTerms {
    let terms = this.terms.get(limit);
    if (terms === undefined) {
      terms = quotaTerms(limit);
      this.terms.set(limit, terms);
    }
    return terms;
  }

  /** Looks at `most` buckets of a service whose presence is of now: of many, looking at all would take too long at once. */
  private tidy({ entries, presence }: ServiceQuotas, nowMs: number, most: number): void {
    let left = Math.min(most, entries.size);
    for (const [key, entry] of entries) {
      if (--left < 0) return;
      entries.delete(key);
      if (isAsNew(entry, presence, nowMs)) this.buckets--;
      else entries.set(key, entry);
    }
  }

  /** One service after the other, also those that nobody draws on any more. */
  private tidyNext(nowMs: number, most: number): void {
    const [next] = this.services;
    if (next === undefined) return;
    const [service, known] = next;
    known.presence.evaluate(nowMs);
    this.tidy(known, nowMs, most);
    this.services.delete(service);
    // Parts that it decided on matter for a while.
    const over = known.entries.size === 0 && known.presence.empty && nowMs - known.usedMs > FORGET_MS;
    if (!over) this.services.set(service, known);
  }
}

function isAsNew({ usedMs, terms, bucket, places }: Entry, presence: Presence, nowMs: number): boolean {
  if (nowMs - usedMs < RESTS_MS) return false;
  bucket?.refresh(terms, presence, nowMs);
  places.refresh(nowMs);
  return (bucket?.resetMs() ?? 0) === 0 && places.held() === 0;
}

function bucketOf({ algorithm }: RateLimit): Bucket | undefined {
  if (algorithm === 'token-bucket') return new TokenBucket();
  if (algorithm === 'sliding-window') return new SlidingWindow();
  return algorithm === 'sliding-estimate' ? new SlidingEstimate() : undefined;
}

function giveBack(entry: Entry, back: QuotaDraw['back'], nowMs: number): void {
  if (entry.bucket === undefined) return;
  const { returnMs } = entry.terms;
  // What was drawn longer ago may have been used by now, or counts no more.
  for (const { count, drawnMs } of back)
    if (nowMs - drawnMs <= returnMs) entry.bucket.giveBack(count, drawnMs);
}

/** How many of `want` can be granted; of places how many in all. */
function grantable(entry: Entry, member: string, want: number, exact: boolean, drawer: Drawer): number {
  if (want === 0) return 0;
  const { terms, bucket, places } = entry;
  const held = places.heldBy(member);
  const allowed = Math.floor(terms.capacity * entry.part + 1e-6);
  const free = bucket === undefined ? Math.max(0, allowed - places.held()) : bucket.free();
  const most = exact ? free : Math.min(free, fairShare(free, terms, drawer.sharers, drawer.sinceMs));
  return Math.min(want, held + most);
}

function grant(
  entry: Entry,
  member: string,
  want: number,
  count: number,
  exact: boolean,
  drawer: Drawer,
  nowMs: number,
): Omit<QuotaGrant, 'quota' | 'subject' | 'sharers'> {
  const { terms, bucket, places } = entry;
  const { lifeMs } = terms;
  if (bucket === undefined) {
    const granted = exact && count < want ? places.heldBy(member) : count;
    places.hold(member, granted, nowMs + lifeMs);
    const remaining = Math.max(0, terms.capacity - places.held());
    const retryAfterMs = granted < want ? LEASE_MS : 0;
    return { granted, lifeMs, retryAfterMs, remaining, resetMs: places.resetMs(nowMs) };
  }
  if (count > 0) bucket.debit(count);
  const pause = exact || count === want ? 0 : pauseMs(want - count, terms, drawer.sharers);
  const waitMs = count > 0 || want === 0 ? 0 : Math.min(bucket.waitMs(exact ? want : 1), bucket.allowedMs);
  const retryAfterMs = Math.max(pause, waitMs);
  return { granted: count, lifeMs, retryAfterMs, remaining: bucket.free(), resetMs: bucket.resetMs() };
}

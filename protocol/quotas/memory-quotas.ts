import type { ServiceKey } from '../service.ts';
import type { RateLimit } from '../traffic-policy.ts';
import type { Bucket } from './bucket.ts';
import { type Drawer, Drawers } from './drawers.ts';
import { fairShare, pauseMs } from './fair-share.ts';
import type { QuotaGrant } from './messages.ts';
import { Places } from './places.ts';
import { leastPart, Presence } from './presence.ts';
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
  /** The most subjects that are told apart; more share one bucket of each quota. */
  readonly maxBuckets?: number;
}

const MAX_BUCKETS = 200_000;
/** Of the service's buckets, those that are as if never used are looked for so often, in ms. */
const SWEEP_MS = 10_000;
const OTHERS = '\u0000others';

interface Entry {
  terms: QuotaTerms;
  /** Of the places, what the store decides on. */
  part: number;
  limit: RateLimit;
  /** Of `concurrency` none. */
  readonly bucket: Bucket | undefined;
  readonly places: Places;
  readonly drawers: Drawers;
}

interface Asked {
  readonly draw: QuotaDraw;
  readonly entry: Entry;
  readonly drawer: Drawer;
}

/** Of who does not share what there is. */
const ALONE: Drawer = { sharers: 1, sinceMs: 0 };

interface ServiceQuotas {
  readonly presence: Presence;
  readonly entries: Map<string, Entry>;
  sweptMs: number;
}

/** Quotas in the memory of one process. The Redis store computes the same (control-plane/quotas/scripts.ts). */
export class MemoryQuotas {
  private readonly services = new Map<ServiceKey, ServiceQuotas>();
  private readonly now: () => number;
  private readonly bornMs: number;
  private readonly maxBuckets: number;

  constructor({ now, bornMs, maxBuckets = MAX_BUCKETS }: MemoryQuotasOptions) {
    this.now = now;
    this.bornMs = bornMs;
    this.maxBuckets = maxBuckets;
  }

  /** `exact`: all draws are granted whole, or none; they are of different quotas. `member`: who draws. */
  draw(service: ServiceKey, member: string, exact: boolean, draws: readonly QuotaDraw[]): QuotaDrawn {
    const nowMs = this.now();
    const known = this.serviceOf(service, nowMs);
    known.presence.evaluate(nowMs);
    const sharers = known.presence.contact(member, nowMs);
    this.sweep(known, nowMs);
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
  contact(service: ServiceKey, members: readonly string[]): void {
    const known = this.services.get(service);
    if (known === undefined) return;
    const nowMs = this.now();
    known.presence.evaluate(nowMs);
    for (const member of members) known.presence.touch(member, nowMs);
  }

  /** A member draws no more. Its places end by themselves: its requests may go on, and it may come back by another way. */
  leave(service: ServiceKey, member: string): void {
    this.services.get(service)?.presence.leave(member);
  }

  private serviceOf(service: ServiceKey, nowMs: number): ServiceQuotas {
    let known = this.services.get(service);
    if (known === undefined) {
      known = { presence: new Presence(this.bornMs), entries: new Map(), sweptMs: nowMs };
      this.services.set(service, known);
    }
    return known;
  }

  private entryOf({ presence, entries }: ServiceQuotas, draw: QuotaDraw, nowMs: number): Entry {
    const name = `${draw.quota}\n${draw.subject}`;
    const full = !entries.has(name) && entries.size >= this.maxBuckets;
    const key = full ? `${draw.quota}\n${OTHERS}` : name;
    let entry = entries.get(key);
    if (entry === undefined) {
      const bucket = bucketOf(draw.limit);
      entry = {
        terms: quotaTerms(draw.limit),
        part: 1,
        limit: draw.limit,
        bucket,
        places: new Places(),
        drawers: new Drawers(),
      };
      entries.set(key, entry);
    } else if (entry.limit !== draw.limit) {
      entry.limit = draw.limit;
      entry.terms = quotaTerms(draw.limit);
    }
    entry.bucket?.refresh(entry.terms, presence, nowMs);
    entry.places.refresh(nowMs);
    entry.part = leastPart(presence, nowMs, 0);
    return entry;
  }

  private sweep(known: ServiceQuotas, nowMs: number): void {
    if (nowMs - known.sweptMs < SWEEP_MS) return;
    known.sweptMs = nowMs;
    for (const [key, { bucket, places, terms }] of known.entries) {
      bucket?.refresh(terms, known.presence, nowMs);
      places.refresh(nowMs);
      if ((bucket?.resetMs() ?? 0) === 0 && places.held() === 0) known.entries.delete(key);
    }
  }
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
  const waitMs = count > 0 || want === 0 ? 0 : bucket.waitMs(exact ? want : 1);
  const retryAfterMs = Math.max(pause, waitMs);
  return { granted: count, lifeMs, retryAfterMs, remaining: bucket.free(), resetMs: bucket.resetMs() };
}

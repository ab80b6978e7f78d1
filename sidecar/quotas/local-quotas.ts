import { quotaIds } from '../../protocol/quotas/quota-id.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import { type Account, HAS, type Look, type Quota, type QuotaSource, REFUSED } from './account.ts';
import { changedBucket, type LocalBucket, localBucket, ROUNDED } from './local-buckets.ts';
import { QuotaNumbers } from './quota-numbers.ts';
import { type Kept, Subjects } from './subjects.ts';

/** Which of several processes this one is, that serve together. */
export interface WorkerPlace {
  /** From 1. */
  readonly number: number;
  readonly of: number;
}

const ALONE: WorkerPlace = { number: 1, of: 1 };

/**
 * Quotas of a data plane that stands alone: they are kept in its process. Of several processes each has its part, so
 * that all together never admit more than the quota.
 */
export class LocalQuotas implements QuotaSource {
  private readonly quotas = new Map<string, LocalQuota>();
  private readonly place: WorkerPlace;

  constructor(place = ALONE) {
    this.place = place;
  }

  quotasOf(service: string, limits: readonly RateLimit[]): readonly Quota[] {
    return quotaIds(service, limits).map((id, index) => {
      const limit = limits[index] as RateLimit; // one id for each limit
      let quota = this.quotas.get(id);
      if (quota === undefined) {
        quota = new LocalQuota(id, limit, this.place);
        this.quotas.set(id, quota);
      } else quota.change(limit, performance.now());
      return quota;
    });
  }

  all(): Iterable<Quota> {
    return this.quotas.values();
  }

  close(): void {}
}

/** The part of one of several processes. One of a few that are left over goes to the first. */
export function partOf(limit: RateLimit, { number, of }: WorkerPlace): RateLimit {
  if (of === 1) return limit;
  const part = (count: number): number => Math.floor(count / of) + (number <= count % of ? 1 : 0);
  const whole = limit.algorithm !== 'token-bucket';
  return { ...limit, tokens: whole ? part(limit.tokens) : limit.tokens / of, burst: part(limit.burst) };
}

class LocalQuota implements Quota {
  readonly id: string;
  limit: RateLimit;
  readonly numbers = new QuotaNumbers();
  private readonly subjects: Subjects<LocalAccount>;
  private readonly place: WorkerPlace;
  /** Of the limit, what is this process's. */
  private part: RateLimit;

  constructor(id: string, limit: RateLimit, place: WorkerPlace) {
    this.id = id;
    this.limit = limit;
    this.place = place;
    this.part = partOf(limit, place);
    this.subjects = new Subjects((subject) => new LocalAccount(this, subject, localBucket(this.part)));
  }

  change(limit: RateLimit, nowMs: number): void {
    const before = this.part;
    const isSame = this.limit.tokens === limit.tokens && this.limit.burst === limit.burst;
    this.limit = limit;
    if (isSame) return;
    this.part = partOf(limit, this.place);
    for (const account of this.subjects.all()) account.change(before, this.part, nowMs);
  }

  account(subject: string, nowMs: number): Account {
    const account = this.subjects.get(subject, nowMs);
    if (this.subjects.isOthers(account)) this.numbers.overflow++;
    return account;
  }

  held(): number {
    return 0;
  }
}

class LocalAccount implements Account, Kept {
  readonly quota: LocalQuota;
  readonly subject: string;
  readonly exact = false;
  readonly outage = '';
  usedMs = 0;
  private bucket: LocalBucket;

  constructor(quota: LocalQuota, subject: string, bucket: LocalBucket) {
    this.quota = quota;
    this.subject = subject;
    this.bucket = bucket;
  }

  change(before: RateLimit, now: RateLimit, nowMs: number): void {
    this.bucket = changedBucket(this.bucket, before, now, nowMs);
  }

  look(nowMs: number): Look {
    this.usedMs = nowMs;
    return this.lookAgain(nowMs);
  }

  lookAgain(nowMs: number): Look {
    return this.bucket.left(nowMs) >= 1 - ROUNDED ? HAS : REFUSED;
  }

  take(nowMs: number): void {
    this.bucket.take(nowMs);
  }

  release(): void {
    this.bucket.release();
  }

  ask(): void {}

  retryAfterMs(nowMs: number): number {
    return this.bucket.nextMs(nowMs);
  }

  remaining(nowMs: number): number {
    return Math.max(0, Math.floor(this.bucket.left(nowMs)));
  }

  resetMs(nowMs: number): number {
    const wholeMs = this.bucket.wholeMs(nowMs);
    return Number.isFinite(wholeMs) ? wholeMs : 0;
  }

  /** Forgotten is as good as whole. */
  mayBeForgotten(nowMs: number): boolean {
    return this.bucket.wholeMs(nowMs) === 0;
  }

  forget(): void {}
}

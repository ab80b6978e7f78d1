import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { QuotaDraw, QuotaDrawn } from '../../protocol/quotas/memory-quotas.ts';
import type { QuotaGrant } from '../../protocol/quotas/messages.ts';
import { GRACE_MS } from '../../protocol/quotas/presence.ts';
import { type QuotaTerms, quotaTerms } from '../../protocol/quotas/quota-terms.ts';
import type { ServiceKey } from '../../protocol/service.ts';
import type { Log } from '../log.ts';
import { type AnnouncedQuota, type QuotaStore, StoreOutage } from './quota-store.ts';
import { openRedis, type RedisConnection, type RedisSettings } from './redis-connection.ts';
import { CONTACT, DRAW, LEAVE } from './scripts.ts';

/** Who draws on a service, and since when Redis remembers it, is kept for so long at least, in ms. */
const MIN_TTL_MS = 3_600_000;
const CHANNEL = 'tulle:quotas:changed';
const MAX_NEWS = 64 * 1024;

/** As a limit can be written. */
const count = z.int().min(1).max(999_999_999);
const newsSchema = z.strictObject({
  service: z.string().max(600),
  quotas: z
    .array(
      z.strictObject({ quota: z.string().max(600), tokens: count, perMs: z.number().min(0), burst: count }),
    )
    .max(64),
});

export interface RedisStoreOptions extends RedisSettings {
  /** For tests: the Redis is as if it had been there always, though it has just begun. */
  readonly ageless?: boolean;
  /** For tests: a time in ms in place of that of Redis. */
  readonly now?: () => number;
}

/**
 * Quotas in Redis, for all control planes of a mesh: each draw is one script. All keys of a service are of one slot,
 * and expire. Redis should keep them: set `maxmemory-policy noeviction`.
 */
export async function openRedisStore(options: RedisStoreOptions, log: Log): Promise<QuotaStore> {
  const graceMs = options.ageless === true ? 0 : GRACE_MS;
  return new RedisStore(await openRedis(options, log), graceMs, options.now);
}

class RedisStore implements QuotaStore {
  private readonly redis: RedisConnection;
  private readonly graceMs: number;
  private readonly now: (() => number) | undefined;
  private drawMs = 0;
  private draws = 0;
  private readonly listeners: ((service: ServiceKey, quotas: readonly AnnouncedQuota[]) => void)[] = [];

  constructor(redis: RedisConnection, graceMs: number, now: (() => number) | undefined) {
    this.redis = redis;
    this.now = now;
    this.graceMs = graceMs;
    redis.subscribe(CHANNEL, (message) => this.onNews(message));
  }

  async draw(
    service: ServiceKey,
    member: string,
    exact: boolean,
    draws: readonly QuotaDraw[],
  ): Promise<QuotaDrawn> {
    const keys = [`${nameOf(service)}:here`, `${nameOf(service)}:members`];
    const terms = draws.map(({ limit }) => quotaTerms(limit));
    for (const { quota, subject } of draws) {
      const key = bucketKey(service, quota, subject);
      keys.push(key, `${key}:parts`, `${key}:drawers`);
    }
    const items = draws.map((draw, at) => itemOf(draw, terms[at] ?? quotaTerms(draw.limit)));
    const ttlMs = Math.ceil(Math.max(MIN_TTL_MS, ...terms.map((one) => 2 * wholeMs(one))));
    const startMs = performance.now();
    const args = [this.began(), String(ttlMs), member, exact ? '1' : '0', JSON.stringify(items)];
    const answer = await this.redis.run(DRAW, keys, args);
    this.draws++;
    this.drawMs += performance.now() - startMs;
    if (!Array.isArray(answer) || answer.length !== draws.length + 2)
      throw new StoreOutage('Redis answered what is no answer to a draw');
    const [now, sharers, ...parts] = answer.map(String);
    return {
      atMs: Number(now),
      grants: parts.map((part, at) => grantOf(part, draws[at], terms[at], Number(sharers))),
    };
  }

  contact(service: ServiceKey, members: readonly string[]): void {
    const keys = [`${nameOf(service)}:here`, `${nameOf(service)}:members`];
    this.redis.run(CONTACT, keys, [this.began(), String(MIN_TTL_MS), ...members]).catch(() => {}); // it was logged
  }

  leave(service: ServiceKey, member: string): void {
    const keys = [`${nameOf(service)}:here`, `${nameOf(service)}:members`];
    this.redis.run(LEAVE, keys, [member]).catch(() => {}); // its share comes back with time
  }

  announce(service: ServiceKey, quotas: readonly AnnouncedQuota[]): void {
    this.redis.publish(CHANNEL, JSON.stringify({ service, quotas }));
  }

  onAnnounced(listener: (service: ServiceKey, quotas: readonly AnnouncedQuota[]) => void): void {
    this.listeners.push(listener);
  }

  numbers() {
    const { drawMs, draws } = this;
    return { kind: 'redis' as const, ...this.redis.numbers(), drawSeconds: drawMs / 1000, drawsTimed: draws };
  }

  close(): Promise<void> {
    return this.redis.close();
  }

  /** What the scripts take first. */
  private began(): string {
    return this.now === undefined ? String(this.graceMs) : `${this.graceMs} ${this.now()}`;
  }

  /** Others write to Redis too: what is no news is passed over. */
  private onNews(message: string): void {
    if (message.length > MAX_NEWS) return;
    let value: unknown;
    try {
      value = JSON.parse(message);
    } catch {
      return;
    }
    const news = newsSchema.safeParse(value);
    if (!news.success) return;
    for (const listener of this.listeners) listener(news.data.service, news.data.quotas);
  }
}

/** All keys of a service are of one slot. */
function nameOf(service: ServiceKey): string {
  return `tulle:quota:{${service}}`;
}

/** Subjects can be secrets, like API keys: they do not stand in Redis. */
function bucketKey(service: ServiceKey, quota: string, subject: string): string {
  const hash = createHash('sha256').update(`${quota}\n${subject}`).digest('base64url').slice(0, 27);
  return `${nameOf(service)}:${hash}`;
}

/** How long until a bucket of which all was used is as if never used, in ms. */
function wholeMs({ algorithm, burst, rate, windowMs, lifeMs }: QuotaTerms): number {
  return algorithm === 'token-bucket' ? burst / rate : 2 * windowMs + lifeMs;
}

/** As the script reads it. */
function itemOf({ want, back }: QuotaDraw, terms: QuotaTerms) {
  const { algorithm, capacity, burst, rate, windowMs, granuleMs, lifeMs, returnMs } = terms;
  return {
    algorithm,
    capacity,
    burst,
    rate,
    window: windowMs,
    granule: granuleMs,
    life: lifeMs,
    returns: returnMs,
    want,
    back: back.map(({ count: many, drawnMs }) => [many, drawnMs]),
  };
}

function grantOf(
  part: string,
  draw: QuotaDraw | undefined,
  terms: QuotaTerms | undefined,
  sharers: number,
): QuotaGrant {
  const [granted = 0, retryAfterMs = 0, remaining = 0, resetMs = 0] = part.split(' ').map(Number);
  const { quota = '', subject = '' } = draw ?? {};
  return { quota, subject, granted, lifeMs: terms?.lifeMs ?? 0, retryAfterMs, remaining, resetMs, sharers };
}

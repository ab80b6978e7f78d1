import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { QuotaDraw, QuotaDrawn, QuotaMember } from '../../protocol/quotas/memory-quotas.ts';
import type { QuotaGrant } from '../../protocol/quotas/messages.ts';
import { GRACE_MS } from '../../protocol/quotas/presence.ts';
import { type QuotaTerms, quotaTerms } from '../../protocol/quotas/quota-terms.ts';
import type { ServiceKey } from '../../protocol/service.ts';
import type { Log } from '../log.ts';
import { Batches } from './batches.ts';
import { type AnnouncedQuota, type QuotaStore, StoreOutage } from './quota-store.ts';
import { openRedis, type RedisConnection, type RedisSettings } from './redis-connection.ts';
import { CONTACT, DRAW, LEAVE } from './scripts.ts';

/** Who draws on a service, and since when Redis remembers it, is kept for so long at least, in ms. */
const MIN_TTL_MS = 3_600_000;
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
  /** Meshes of other names may use the same Redis, and have services of the same names. */
  readonly trustDomain: string;
  /** For tests: the Redis is as if it had been there always, though it has just begun. */
  readonly ageless?: boolean;
  /** For tests: a time in ms in place of that of Redis. */
  readonly now?: () => number;
}

/**
 * Quotas in Redis, for all control planes of a mesh: each draw is one script, or with others of
 * its service a part of one. All keys of a service are of one slot,
 * and expire. Redis should keep them: set `maxmemory-policy noeviction`.
 */
export async function openRedisStore(options: RedisStoreOptions, log: Log): Promise<QuotaStore> {
  const graceMs = options.ageless === true ? 0 : GRACE_MS;
  return new RedisStore(await openRedis(options, log), options.trustDomain, graceMs, options.now);
}

/** A draw of one sidecar, to be answered. */
interface Asked {
  readonly member: string;
  readonly exact: boolean;
  readonly draws: readonly QuotaDraw[];
  readonly told: number;
  readonly sharing: boolean;
  readonly startMs: number;
  resolve(drawn: QuotaDrawn): void;
  reject(error: unknown): void;
}

class RedisStore implements QuotaStore {
  private readonly redis: RedisConnection;
  private readonly mesh: string;
  private readonly channel: string;
  private readonly graceMs: number;
  private readonly now: (() => number) | undefined;
  private readonly batches = new Batches<Asked>((service, batch) => this.run(service, batch));
  private drawMs = 0;
  private draws = 0;
  private readonly listeners: ((service: ServiceKey, quotas: readonly AnnouncedQuota[]) => void)[] = [];

  constructor(redis: RedisConnection, mesh: string, graceMs: number, now: (() => number) | undefined) {
    this.redis = redis;
    this.mesh = mesh;
    this.channel = `tulle:quotas:${mesh}:changed`;
    this.now = now;
    this.graceMs = graceMs;
    redis.subscribe(this.channel, (message) => this.onNews(message));
  }

  draw(
    service: ServiceKey,
    member: string,
    exact: boolean,
    draws: readonly QuotaDraw[],
    told = 0,
    sharing = false,
  ): Promise<QuotaDrawn> {
    return new Promise((resolve, reject) => {
      const one = { member, exact, draws, told, sharing, startMs: performance.now(), resolve, reject };
      // A request waits for it, and for nothing else.
      if (exact) this.run(service, [one]);
      else this.batches.add(service, one, Math.max(1, draws.length));
    });
  }

  private run(service: ServiceKey, batch: readonly Asked[]): void {
    this.drawAll(service, batch).catch((error: unknown) => {
      for (const { reject } of batch) reject(error);
    });
  }

  /** One script for all. */
  private async drawAll(service: ServiceKey, batch: readonly Asked[]): Promise<void> {
    const keys = this.presenceOf(service);
    for (const { draws } of batch)
      for (const { quota, subject } of draws) {
        const key = this.bucketKey(service, quota, subject);
        keys.push(key, `${key}:parts`, `${key}:drawers`);
      }
    const asked = batch.map(({ member, exact, told, sharing, draws }) => {
      return { member, exact, told, sharing, items: draws.map(itemOf) };
    });
    const wholes = batch.flatMap(({ draws }) => draws.map(({ limit }) => wholeMs(quotaTerms(limit))));
    const ttlMs = Math.ceil(Math.max(MIN_TTL_MS, 2 * Math.max(0, ...wholes)));
    const answer = await this.redis.run(DRAW, keys, [this.began(), String(ttlMs), JSON.stringify(asked)]);
    const parts = Array.isArray(answer) ? answer.map(String) : [];
    if (parts.length !== batch.reduce((sum, { draws }) => sum + 1 + draws.length, 1))
      throw new StoreOutage('Redis answered what is no answer to a draw');
    const atMs = Number(parts.shift());
    const nowMs = performance.now();
    for (const { draws, startMs, resolve } of batch) {
      this.draws++;
      this.drawMs += nowMs - startMs;
      const sharers = Number(parts.shift());
      const grants = parts.splice(0, draws.length).map((part, at) => grantOf(part, draws[at], sharers));
      resolve({ atMs, grants });
    }
  }

  contact(service: ServiceKey, members: readonly QuotaMember[]): void {
    const keys = this.presenceOf(service);
    const named = members.flatMap(({ name, told }) => [name, String(told)]);
    this.redis.run(CONTACT, keys, [this.began(), String(MIN_TTL_MS), ...named]).catch(() => {}); // it was logged
  }

  leave(service: ServiceKey, member: string): void {
    const keys = this.presenceOf(service);
    this.redis.run(LEAVE, keys, [member]).catch(() => {}); // its share comes back with time
  }

  announce(service: ServiceKey, quotas: readonly AnnouncedQuota[]): void {
    this.redis.publish(this.channel, JSON.stringify({ service, quotas }));
  }

  onAnnounced(listener: (service: ServiceKey, quotas: readonly AnnouncedQuota[]) => void): void {
    this.listeners.push(listener);
  }

  numbers() {
    const { drawMs, draws } = this;
    return { kind: 'redis' as const, ...this.redis.numbers(), drawSeconds: drawMs / 1000, drawsTimed: draws };
  }

  close(): Promise<void> {
    for (const { reject } of this.batches.close()) reject(new StoreOutage('the store is closed'));
    return this.redis.close();
  }

  /** All keys of a service are of one slot. */
  private nameOf(service: ServiceKey): string {
    return `tulle:quota:${this.mesh}:{${service}}`;
  }

  private presenceOf(service: ServiceKey): string[] {
    return [`${this.nameOf(service)}:here`, `${this.nameOf(service)}:members`];
  }

  /** Subjects can be secrets, like API keys: they do not stand in Redis. */
  private bucketKey(service: ServiceKey, quota: string, subject: string): string {
    const hash = createHash('sha256').update(`${quota}\n${subject}`).digest('base64url').slice(0, 27);
    return `${this.nameOf(service)}:${hash}`;
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

/** How long until a bucket of which all was used is as if never used, in ms. */
function wholeMs({ algorithm, burst, rate, windowMs, lifeMs }: QuotaTerms): number {
  return algorithm === 'token-bucket' ? burst / rate : 2 * windowMs + lifeMs;
}

/** As the script reads it. */
function itemOf({ limit, want, back }: QuotaDraw) {
  const { algorithm, capacity, burst, rate, windowMs, granuleMs, lifeMs, returnMs } = quotaTerms(limit);
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

function grantOf(part: string, draw: QuotaDraw | undefined, sharers: number): QuotaGrant {
  const [granted = 0, retryAfterMs = 0, remaining = 0, resetMs = 0] = part.split(' ').map(Number);
  const { quota = '', subject = '', limit } = draw ?? {};
  const lifeMs = limit === undefined ? 0 : quotaTerms(limit).lifeMs;
  return { quota, subject, granted, lifeMs, retryAfterMs, remaining, resetMs, sharers };
}

import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { RedisAddress } from '../../protocol/quotas/store-address.ts';
import type { Log } from '../log.ts';
import { StoreOutage } from './quota-store.ts';
import type { Script } from './scripts.ts';

/** Redis has so long to answer, in ms: the sidecar's request waits 30 at most. */
const ANSWER_MS = 25;
/** As long as what is late is not later than this, in ms, others are still sent. */
const BEHIND_MS = 50;
/** A connection on which nothing comes back for so long is given up for a new one, in ms. */
const DEAD_MS = 1_000;
const CONNECT_MS = 1_000;
/** A connection that is given up is closed in order for so long, in ms. */
const DISCONNECT_MS = 100;
/** Outages that come one after the other are logged so often, in ms. */
const TELL_MS = 5_000;
const MAX_PAUSE_MS = 250;

export interface RedisSettings {
  readonly address: RedisAddress;
  /** Undefined: none is needed. */
  readonly password?: string;
  readonly sentinelPassword?: string;
  /** Who signs the servers' certificates, PEM; default: who Node trusts. */
  readonly ca?: string;
  /** What this control plane proves itself by, if Redis asks for it, PEM. */
  readonly cert?: string;
  readonly key?: string;
  /** So long a command may take, in ms. */
  readonly answerMs?: number;
}

/** What came of commands, since the start. */
interface RedisNumbers {
  readonly commands: number;
  /** Why Redis cannot be asked, in words; undefined: it can. */
  readonly outage: string | undefined;
  readonly outageSeconds: number;
}

/** Its client wants one that says how replies are mapped to say it. */
type PlainOptions = Omit<RedisOptions, 'replyMapping'>;

/** A connection that answers soon or not at all, and is always being mended. */
export interface RedisConnection {
  /** Runs a script; rejects with StoreOutage. */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /** Tells all who listen; lost when Redis is away. */
  publish(channel: string, message: string): void;
  subscribe(channel: string, listener: (message: string) => void): void;
  numbers(): RedisNumbers;
  close(): Promise<void>;
}

/** Connects to Redis, and goes on trying if it is not there. Loads its client: who has no Redis needs none. */
export async function openRedis(settings: RedisSettings, log: Log): Promise<RedisConnection> {
  const { Cluster, Redis } = await import('ioredis');
  const { address } = settings;
  // Who gives them believes that nobody reads along, be it the password.
  if (!address.tls && [settings.ca, settings.cert, settings.key].some((file) => file !== undefined))
    log.warn(
      { meant: 'write rediss in place of redis' },
      'certificates are given for Redis, but by its address what is sent to it is not encrypted',
    );
  const open = (): Redis | Cluster => {
    const options = optionsOf(settings);
    const { retryStrategy, ...ofNodes } = options;
    if (address.kind === 'cluster')
      return new Cluster([...address.nodes], {
        // A node that is silent is connected to anew, the others are not.
        redisOptions: { ...ofNodes, socketTimeout: DEAD_MS },
        clusterRetryStrategy: pauseMs,
        enableOfflineQueue: false,
        slotsRefreshTimeout: CONNECT_MS,
        // Commands are not repeated, but sent to where the slot is now.
        maxRedirections: 3,
        retryDelayOnFailover: 0,
        retryDelayOnClusterDown: 0,
        retryDelayOnTryAgain: 0,
      });
    if (address.kind === 'sentinel') return new Redis({ ...options, ...sentinels(settings) });
    return new Redis({ ...options, ...address.nodes[0] });
  };
  return new Connection(open, settings, log);
}

/** Full of chance, so that control planes do not come at once. */
function pauseMs(attempt: number): number {
  return Math.min(MAX_PAUSE_MS, 20 * 2 ** Math.min(attempt, 8)) * (0.5 + Math.random() / 2);
}

function tlsOf({ ca, cert, key }: RedisSettings) {
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

function optionsOf(settings: RedisSettings): PlainOptions {
  const { address, password } = settings;
  return {
    ...(address.user !== undefined && { username: address.user }),
    ...(password !== undefined && { password }),
    ...(settings.address.tls && { tls: tlsOf(settings) }),
    db: address.db,
    connectTimeout: CONNECT_MS,
    disconnectTimeout: DISCONNECT_MS,
    enableOfflineQueue: false,
    // What was under way when a connection broke may have been done: doing it twice would debit twice.
    autoResendUnfulfilledCommands: false,
    // It is done at each `ready`: the client forgets to catch that its own fails, which would end the process.
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    retryStrategy: pauseMs,
    // One that is no master any more.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  };
}

function sentinels(settings: RedisSettings): PlainOptions {
  const { address, sentinelPassword } = settings;
  return {
    sentinels: [...address.nodes],
    name: address.master ?? '',
    sentinelRetryStrategy: pauseMs,
    failoverDetector: true,
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(address.tls && { enableTLSForSentinelMode: true, sentinelTLS: tlsOf(settings) }),
  };
}

/** Commands whose time is up, and that nothing has come of yet. */
interface Late {
  count: number;
  readonly sinceMs: number;
}

class Connection implements RedisConnection {
  private readonly client: Redis | Cluster;
  private readonly open: () => Redis | Cluster;
  private subscriber: Redis | Cluster | undefined = undefined;
  private listening: NodeJS.Timeout | undefined = undefined;
  private readonly secrets: readonly string[];
  private readonly answerMs: number;
  private readonly log: Log;
  private commands = 0;
  /** Of a Cluster by the first key: a node that is silent is no reason to ask no other. Else all together. */
  private readonly late = new Map<string, Late>();
  private readonly isCluster: boolean;
  private outage: string | undefined = undefined;
  private outageSinceMs = 0;
  private outageMs = 0;
  private givenUpMs = 0;
  private connectedMs = 0;
  private toldMs = Number.NEGATIVE_INFINITY;
  private told = false;
  private lastError = '';
  private closed = false;

  constructor(
    open: () => Redis | Cluster,
    { address, password, sentinelPassword, answerMs = ANSWER_MS }: RedisSettings,
    log: Log,
  ) {
    this.isCluster = address.kind === 'cluster';
    this.log = log;
    this.answerMs = answerMs;
    this.open = open;
    this.secrets = [password, sentinelPassword].filter(
      (secret) => secret !== undefined && secret !== '',
    ) as string[];
    this.client = open();
    this.client.on('error', (error: Error) => {
      this.lastError = this.redacted(error.message);
    });
    this.client.on('close', () => this.lost(`the connection to Redis is closed${this.because()}`));
    this.client.on('connect', () => {
      this.connectedMs = performance.now();
    });
    this.client.on('ready', () => {
      this.lastError = '';
    });
    this.neverEnds(this.client);
  }

  async run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const { client } = this;
    const node = this.isCluster ? (keys[0] ?? '') : '';
    try {
      return await this.inTime(node, () => client.call('EVALSHA', script.sha, keys.length, ...keys, ...args));
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw this.outageOf(error);
    }
    try {
      // Redis has begun anew, or forgotten: it knows the script from now on.
      return await this.inTime(node, () => client.call('EVAL', script.lua, keys.length, ...keys, ...args));
    } catch (error) {
      throw this.outageOf(error);
    }
  }

  private inTime(node: string, command: () => Promise<unknown>): Promise<unknown> {
    const behind = this.late.get(node);
    if (behind !== undefined && performance.now() - behind.sinceMs > BEHIND_MS)
      return Promise.reject(this.stillLate(behind));
    if (this.client.status !== 'ready') {
      if (this.client.status === 'connect') this.giveUpAfter(this.connectedMs);
      return Promise.reject(new StoreOutage(`there is no connection to Redis${this.because()}`));
    }
    this.commands++;
    return new Promise((resolve, reject) => {
      let [settled, late] = [false, false];
      const settle = (): void => {
        settled = true;
        clearTimeout(timer);
        if (late) this.caughtUp(node);
      };
      const giveUp = (): void => {
        if (settled) return;
        late = true;
        this.fallsBehind(node);
        reject(new StoreOutage(`Redis did not answer within ${this.answerMs} ms`));
      };
      // If it was this process that had no time, the answer is there, and read before an immediate.
      const timer = setTimeout(() => setImmediate(giveUp), this.answerMs);
      command().then(
        (answer) => {
          settle();
          if (!late) this.back();
          resolve(answer);
        },
        (error: unknown) => {
          settle();
          reject(error);
        },
      );
    });
  }

  private fallsBehind(node: string): void {
    const late = this.late.get(node);
    if (late === undefined) this.late.set(node, { count: 1, sinceMs: performance.now() });
    else late.count++;
  }

  private caughtUp(node: string): void {
    const late = this.late.get(node);
    if (late !== undefined && --late.count === 0) this.late.delete(node);
  }

  /** Others would only wait behind what is late, and debit what nobody uses. */
  private stillLate({ sinceMs }: Late): StoreOutage {
    if (!this.isCluster) this.giveUpAfter(sinceMs);
    return new StoreOutage('Redis does not answer in time');
  }

  /** Nothing has come since then: what was sent on this connection may never arrive, also when the network is back. */
  private giveUpAfter(sinceMs: number): void {
    const nowMs = performance.now();
    if (nowMs - sinceMs < DEAD_MS || nowMs - this.givenUpMs < DEAD_MS) return;
    this.givenUpMs = nowMs;
    this.client.disconnect(true);
    this.subscriber?.disconnect(true);
  }

  private outageOf(error: unknown): StoreOutage {
    const outage =
      error instanceof StoreOutage
        ? error
        : new StoreOutage(`Redis: ${this.redacted(error instanceof Error ? error.message : String(error))}`);
    this.lost(outage.message);
    return outage;
  }

  private lost(reason: string): void {
    if (this.outage !== undefined || this.closed) return;
    this.outage = reason;
    this.outageSinceMs = performance.now();
    const quietMs = this.outageSinceMs - this.toldMs;
    this.told = quietMs > TELL_MS;
    if (!this.told) return;
    this.toldMs = this.outageSinceMs;
    this.log.warn({ reason }, 'Redis cannot be asked: quotas go on by on-outage');
  }

  private back(): void {
    if (this.outage === undefined) return;
    const ms = performance.now() - this.outageSinceMs;
    this.outageMs += ms;
    this.outage = undefined;
    if (this.told) this.log.info({ outageMs: Math.round(ms) }, 'Redis answers again');
  }

  /** A client that hears of a failover while it connects gives up for good. */
  private neverEnds(client: Redis | Cluster): void {
    client.on('end', () => {
      if (this.closed) return;
      const again = (): void => {
        if (!this.closed && client.status === 'end') client.connect().catch(() => {}); // it ends again
      };
      setTimeout(again, pauseMs(2)).unref();
    });
  }

  private because(): string {
    return this.lastError === '' ? '' : `: ${this.lastError}`;
  }

  /** Messages of Redis and its client can repeat what they were sent. */
  private redacted(message: string): string {
    return this.secrets.reduce((text, secret) => text.replaceAll(secret, '***'), message).slice(0, 300);
  }

  publish(channel: string, message: string): void {
    this.commands++;
    this.client.publish(channel, message).catch((error: unknown) => {
      this.log.warn(
        { reason: this.redacted(String(error)) },
        'other control planes could not be told that quotas changed: they learn it from their registry',
      );
    });
  }

  subscribe(channel: string, listener: (message: string) => void): void {
    const subscriber = this.open();
    this.subscriber = subscriber;
    this.neverEnds(subscriber);
    subscriber.on('error', () => {}); // the other connection tells
    subscriber.on('ready', () => void subscriber.subscribe(channel).catch(() => {}));
    subscriber.on('message', (_channel: string, message: string) => listener(message));
    this.listening = keepListening(subscriber);
  }

  numbers(): RedisNumbers {
    const { commands, outage, outageMs, outageSinceMs } = this;
    const nowMs = outage === undefined ? 0 : performance.now() - outageSinceMs;
    return { commands, outage, outageSeconds: (outageMs + nowMs) / 1000 };
  }

  close(): Promise<void> {
    this.closed = true;
    clearInterval(this.listening);
    this.client.disconnect();
    this.subscriber?.disconnect();
    return Promise.resolve();
  }
}

/**
 * Who only listens does not notice that nobody speaks any more: it is asked, and given up for a new connection if it
 * does not answer. Of a Cluster only the connections for commands are asked.
 */
function keepListening(subscriber: Redis | Cluster): NodeJS.Timeout {
  let isAsked = false;
  const answered = (): void => {
    isAsked = false;
  };
  subscriber.on('ready', answered);
  subscriber.on('close', answered);
  const ask = (): void => {
    if (isAsked) {
      isAsked = false;
      subscriber.disconnect(true);
      return;
    }
    // One that is connected and not ready waits for the answers of its handshake.
    isAsked = subscriber.status === 'ready' || subscriber.status === 'connect';
    if (subscriber.status === 'ready') subscriber.ping().then(answered, () => {}); // else it is given up
  };
  return setInterval(ask, DEAD_MS).unref();
}

import { setTimeout as sleep } from 'node:timers/promises';
import { lineReader } from '../../../protocol/line-reader.ts';
import type { Log } from '../../log.ts';
import { ApiError, apiError } from './api-error.ts';
import type { ApiSession } from './api-session.ts';

/** A kind of object, and where it is listed and watched. */
export interface WatchedKind {
  readonly kind: string;
  /** Paths of the versions that are understood; the first that is served is used. */
  readonly paths: readonly string[];
  /** It may not be installed: a 404 is no fault. */
  readonly optional: boolean;
}

/** Where what is known of a kind goes. Nothing may be thrown. */
export interface WatchSink {
  put(key: string, object: unknown): void;
  remove(key: string): void;
}

export interface WatchState {
  readonly kind: string;
  /** What is known is current, or will be in a moment. */
  readonly connected: boolean;
  /** false: the kind is not installed in the cluster. */
  readonly served: boolean;
  readonly lastError?: string;
  /** Since when it is so; wall clock, ms. */
  readonly since: number;
}

export interface WatchTiming {
  /** A watch that is silent for so long is begun anew: its socket may be half open. Bookmarks come each minute. */
  readonly idleMs: number;
  /** What an answer may take to begin. */
  readonly answerMs: number;
  /** First wait after a failure; it doubles up to `maxBackoffMs`. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** Between two looks for a kind that is not installed. */
  readonly absentMs: number;
  /** How long the server is asked to let a watch live; up to twice that, so that they do not end together. */
  readonly watchSeconds: number;
}

export const WATCH_TIMING: WatchTiming = {
  idleMs: 90_000,
  answerMs: 20_000,
  backoffMs: 200,
  maxBackoffMs: 10_000,
  absentMs: 15_000,
  watchSeconds: 300,
};

/** Of one page; the API server then need not hold all objects as one text, nor do we. */
const PAGE_LIMIT = 500;
/** An object of etcd has at most 1.5 MiB; as JSON it may be longer. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
/** A watch that ended sooner and told nothing is a failure, whatever it says. */
const MIN_LIFE_MS = 1_000;
/** So many refusals in a row of a resource version: perhaps the server was set back to an older state. */
const REFUSALS_BEFORE_LIST = 3;
/** After so many looks in a row that found no such kind, its objects are believed to be gone. */
const ABSENCES_BEFORE_EMPTY = 2;

/**
 * Follows one kind of object: list, then watch from there, forever. What is known stays known while the API
 * server is away. Begins with `start`, ends with `close`.
 */
export class ResourceWatch {
  readonly kind: string;
  /** Resolves once the first list was told, or the kind is known not to be installed. */
  readonly synced: Promise<void>;
  private readonly watched: WatchedKind;
  private readonly open: () => Promise<ApiSession>;
  private readonly sink: WatchSink;
  private readonly log: Log;
  private readonly timing: WatchTiming;
  private readonly end = new AbortController();
  private readonly markSynced: () => void;
  /** Resource versions of what was told: a list tells only what differs. */
  private readonly known = new Map<string, string>();
  private path = 0;
  /** '': to be listed. */
  private resourceVersion = '';
  private failures = 0;
  private refusals = 0;
  private absences = 0;
  private current: Omit<WatchState, 'kind'>;

  constructor(
    watched: WatchedKind,
    open: () => Promise<ApiSession>,
    sink: WatchSink,
    log: Log,
    timing: WatchTiming = WATCH_TIMING,
  ) {
    this.kind = watched.kind;
    this.watched = watched;
    this.open = open;
    this.sink = sink;
    this.log = log;
    this.timing = timing;
    this.current = { connected: false, served: true, since: Date.now() };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.markSynced = resolve;
  }

  state(): WatchState {
    return { kind: this.kind, ...this.current };
  }

  start(): void {
    void this.run();
  }

  close(): void {
    this.end.abort();
  }

  private async run(): Promise<void> {
    while (!this.end.signal.aborted) {
      const waitMs = await this.attempt();
      if (waitMs > 0) await sleep(waitMs, undefined, { signal: this.end.signal }).catch(() => {}); // woken by close
    }
  }

  /** One list and watch, or a watch alone; what to wait before the next, in ms. */
  private async attempt(): Promise<number> {
    let session: ApiSession | undefined;
    try {
      session = await this.open();
      if (this.resourceVersion === '') await this.list(session);
      return await this.watch(session);
    } catch (error) {
      return this.end.signal.aborted ? 0 : this.failed(error);
    } finally {
      session?.close();
    }
  }

  private async list(session: ApiSession): Promise<void> {
    const seen = new Set<string>();
    let next = '';
    do {
      const page = await this.page(session, next);
      for (const item of page.items) {
        const key = keyOf(item);
        seen.add(key);
        this.put(key, item);
      }
      next = page.continue;
      if (next === '') this.resourceVersion = page.resourceVersion;
    } while (next !== '');
    for (const key of [...this.known.keys()]) if (!seen.has(key)) this.remove(key);
    this.absences = 0;
    this.markSynced();
  }

  private async page(session: ApiSession, next: string): Promise<Page> {
    const query = { limit: `${PAGE_LIMIT}`, ...(next !== '' && { continue: next }) };
    const response = await this.get(session, query, this.timing.answerMs);
    const { items, metadata } = (await response.body.json()) as RawList;
    if (!Array.isArray(items) || !metadata?.resourceVersion)
      throw new Error('the answer to a list is not a list');
    return { items, continue: metadata.continue ?? '', resourceVersion: metadata.resourceVersion };
  }

  private async get(session: ApiSession, query: Record<string, string>, idleMs: number) {
    const path = this.watched.paths[this.path] ?? '';
    const limits = { signal: this.end.signal, answerMs: this.timing.answerMs, idleMs };
    const response = await session.get(path, query, limits);
    if (response.statusCode === 200) return response;
    const retryAfter = response.headers['retry-after'];
    throw apiError(
      response.statusCode,
      await response.body.text(),
      typeof retryAfter === 'string' ? retryAfter : undefined,
    );
  }

  private async watch(session: ApiSession): Promise<number> {
    const seconds = Math.ceil(this.timing.watchSeconds * (1 + Math.random()));
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.resourceVersion,
      timeoutSeconds: `${seconds}`,
    };
    const response = await this.get(session, query, this.timing.idleMs);
    this.refusals = 0;
    this.isConnected();
    const openedMs = performance.now();
    const from = this.resourceVersion;
    let tooLong = false;
    const read = lineReader(
      MAX_EVENT_BYTES,
      (line) => this.onEvent(line),
      () => {
        tooLong = true;
      },
    );
    try {
      for await (const bytes of response.body) {
        read(bytes as Buffer); // undici hands out bytes as long as no encoding is set
        if (tooLong) throw new Error(`an event is longer than ${MAX_EVENT_BYTES} bytes`);
      }
    } catch (error) {
      if (!isSilence(error)) throw error;
      this.log.debug({ kind: this.kind }, 'a watch was silent for too long and is begun anew');
    }
    const lived = this.resourceVersion !== from || performance.now() - openedMs >= MIN_LIFE_MS;
    if (lived) this.failures = 0;
    return lived ? 0 : this.backoff();
  }

  private onEvent(line: string): void {
    const { type, object } = JSON.parse(line) as RawEvent;
    if (type === 'ERROR') throw apiError(object?.code ?? 500, JSON.stringify(object));
    const { resourceVersion } = object?.metadata ?? {};
    if (object === undefined || typeof resourceVersion !== 'string')
      throw new Error(`an event without an object: ${line.slice(0, 100)}`);
    if (type === 'DELETED') this.remove(keyOf(object));
    else if (type !== 'BOOKMARK') this.put(keyOf(object), object);
    this.resourceVersion = resourceVersion;
  }

  private put(key: string, object: RawObject): void {
    const version = object.metadata?.resourceVersion ?? '';
    if (version !== '' && this.known.get(key) === version) return;
    this.known.set(key, version);
    this.sink.put(key, object);
  }

  private remove(key: string): void {
    if (this.known.delete(key)) this.sink.remove(key);
  }

  /** Takes note of a failure; what to wait, in ms. */
  private failed(error: unknown): number {
    if (error instanceof ApiError) return this.refused(error);
    this.isLost(reason(error));
    return this.backoff();
  }

  private refused(error: ApiError): number {
    if (error.status === 404) return this.notFound(error);
    if (error.status === 403 && this.watched.optional) return this.forbidden(error);
    // 410: what is known is too old to be continued. A first relist is nothing unusual.
    if (error.status === 410) {
      this.resourceVersion = '';
      this.log.debug({ kind: this.kind }, 'the resource version is too old: a new list');
      return this.failures === 0 ? this.backoff() / 10 : this.backoff();
    }
    if (++this.refusals % REFUSALS_BEFORE_LIST === 0) this.resourceVersion = '';
    this.isLost(error.message);
    return Math.max(this.backoff(), Math.min(error.retryAfterMs, 3 * this.timing.maxBackoffMs));
  }

  /** The kind, or this version of it, is not installed. */
  private notFound(error: ApiError): number {
    this.resourceVersion = '';
    if (this.path + 1 < this.watched.paths.length) {
      this.path++;
      return 1;
    }
    this.path = 0;
    if (!this.watched.optional) {
      this.isLost(error.message);
      return this.backoff();
    }
    this.absences++;
    if (this.absences >= ABSENCES_BEFORE_EMPTY || this.known.size === 0) {
      for (const key of [...this.known.keys()]) this.remove(key);
      if (this.current.served) {
        this.current = { connected: true, served: false, since: Date.now() };
        this.log.debug({ kind: this.kind }, 'a kind is not installed: looked for now and then');
      }
      this.markSynced();
    }
    return jittered(this.timing.absentMs);
  }

  /** What may not be installed may not be allowed either: without it the mesh goes on. */
  private forbidden(error: ApiError): number {
    this.isLost(error.message);
    this.markSynced();
    return jittered(this.timing.absentMs);
  }

  private backoff(): number {
    const { backoffMs, maxBackoffMs } = this.timing;
    return jittered(Math.min(maxBackoffMs, backoffMs * 2 ** this.failures++));
  }

  private isConnected(): void {
    const { connected, served, lastError, since } = this.current;
    if (connected && served) return;
    if (lastError !== undefined)
      this.log.info({ kind: this.kind, awayMs: Date.now() - since }, 'the API server is back');
    this.current = { connected: true, served: true, since: Date.now() };
  }

  private isLost(lastError: string): void {
    const { connected, since } = this.current;
    if (connected || this.current.lastError === undefined)
      this.log.warn(
        { kind: this.kind, error: lastError },
        'cannot follow the API server: what is known stays',
      );
    this.current = { connected: false, served: true, lastError, since: connected ? Date.now() : since };
  }
}

interface RawObject {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly continue?: string;
  };
  /** Of a `Status`. */
  readonly code?: number;
}

interface RawList extends RawObject {
  readonly items?: readonly RawObject[];
}

interface RawEvent {
  readonly type?: string;
  readonly object?: RawObject;
}

interface Page {
  readonly items: readonly RawObject[];
  readonly continue: string;
  readonly resourceVersion: string;
}

/** `namespace/name`, or the name of what has no namespace. */
function keyOf({ metadata }: RawObject): string {
  const name = metadata?.name ?? '';
  return metadata?.namespace === undefined ? name : `${metadata.namespace}/${name}`;
}

/** Between half and all of it, so that replicas do not come together. */
function jittered(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}

/** No byte came for too long. */
function isSilence(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'UND_ERR_BODY_TIMEOUT';
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return error.message !== '' ? error.message : (code ?? error.name);
}

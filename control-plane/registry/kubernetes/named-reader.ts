import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../log.ts';
import type { ApiSession } from './api-session.ts';

const RETRY_MS = 1_000;
const ANSWER_MS = 5_000;
const MAX_READS = 8;
/** So often in that time those are read that cannot be used. */
const LOOKS = 6;
/** Of those that cannot be used so many are looked at each time: who names thousands keeps no API server busy. */
const MAX_LOOKED_AT = 100;
/** What the API server lets an object be called (RFC 1123 subdomain). */
const OBJECT_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** A kind whose objects are read by name. They are not watched: for that the API server would have to let us list all. */
export interface NamedKind<T extends object> {
  readonly plural: string;
  readonly rereadMs: number;
  /** Said of one that the API server does not let us read. */
  readonly forbidden: string;
  /** Makes of an object what is kept of it, or what is wrong in it. */
  read(object: unknown): T | { readonly wrong: string };
}

/** Takes what was read of an object; undefined: nobody wants it any more. */
type NamedSink<T> = (key: string, state: T | { readonly wrong: string } | undefined) => void;

/**
 * Reads the objects of a kind that somebody wants, each by its name, when they are wanted first and now and then. What was read
 * stays while the API server does not answer.
 */
export class NamedReader<T extends object> {
  private readonly kind: NamedKind<T>;
  private readonly open: () => Promise<ApiSession>;
  private readonly sink: NamedSink<T>;
  private readonly log: Log;
  private readonly rereadMs: number;
  private readonly end = new AbortController();
  private readonly wanted = new Set<string>();
  /** Those whose state is known, and whether it is good; the one that was read longest ago first. */
  private readonly known = new Map<string, boolean>();
  private readonly due = new Set<string>();
  private looks = 0;
  private reading: Promise<void> | undefined = undefined;
  private timer: NodeJS.Timeout | undefined = undefined;

  constructor(
    kind: NamedKind<T>,
    open: () => Promise<ApiSession>,
    sink: NamedSink<T>,
    log: Log,
    rereadMs = kind.rereadMs,
  ) {
    this.kind = kind;
    this.open = open;
    this.sink = sink;
    this.log = log;
    this.rereadMs = rereadMs;
  }

  /** Says which objects are wanted from now on. */
  want(keys: ReadonlySet<string>): void {
    for (const key of this.wanted) if (!keys.has(key)) this.forget(key);
    for (const key of keys) {
      if (!this.wanted.has(key)) this.due.add(key);
      this.wanted.add(key);
    }
    this.proceed();
  }

  /** Resolves once the state of all that are wanted is known, or the time is up. */
  async first(limitMs: number): Promise<void> {
    const until = performance.now() + limitMs;
    while (performance.now() < until && [...this.wanted].some((key) => !this.known.has(key))) {
      if (this.end.signal.aborted) return;
      await (this.reading ?? sleep(50, undefined, { signal: this.end.signal }).catch(() => {}));
    }
  }

  close(): void {
    this.end.abort();
    clearTimeout(this.timer);
  }

  private forget(key: string): void {
    this.wanted.delete(key);
    this.due.delete(key);
    if (this.known.delete(key)) this.sink(key, undefined);
  }

  private proceed(): void {
    if (this.end.signal.aborted || this.reading !== undefined || this.wanted.size === 0) return;
    if (this.due.size === 0) {
      this.timer ??= setTimeout(() => this.readAgain(), this.rereadMs / LOOKS);
      return;
    }
    this.reading = this.readDue().then((failed) => {
      this.reading = undefined;
      if (failed) this.later();
      else this.proceed();
    });
  }

  /** One that cannot be used is looked at more often: somebody is about to mend it. */
  private readAgain(): void {
    this.timer = undefined;
    const all = ++this.looks % LOOKS === 0;
    let left = MAX_LOOKED_AT;
    for (const [key, isGood] of this.known) if (isGood ? all : left-- > 0) this.due.add(key);
    this.proceed();
  }

  private later(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        this.proceed();
      },
      Math.min(RETRY_MS, this.rereadMs),
    );
  }

  /** Whether some could not be read. */
  private async readDue(): Promise<boolean> {
    let session: ApiSession | undefined;
    try {
      session = await this.open();
      const opened = session;
      while (this.due.size > 0) {
        const some = [...this.due].slice(0, MAX_READS);
        // One that is not answered stands behind the others afterwards.
        for (const key of some) this.due.delete(key);
        for (const key of some) this.due.add(key);
        await Promise.all(some.map((key) => this.read(key, opened)));
      }
      return false;
    } catch (error) {
      this.log.debug({ kind: this.kind.plural, error: String(error) }, 'what is named could not be read yet');
      return true;
    } finally {
      session?.close();
    }
  }

  private async read(key: string, session: ApiSession): Promise<void> {
    const [namespace, name] = partsOf(key);
    // Whoever writes a reference may write anything: as part of a path it would lead to other objects.
    if (!OBJECT_NAME.test(namespace) || !OBJECT_NAME.test(name)) {
      this.take(key, { wrong: 'has a name that no object can have' });
      return;
    }
    const limits = { signal: this.end.signal, answerMs: ANSWER_MS, idleMs: ANSWER_MS };
    const response = await session.get(
      `/api/v1/namespaces/${namespace}/${this.kind.plural}/${name}`,
      {},
      limits,
    );
    const body: unknown = await response.body.json().catch(() => undefined);
    const state = this.stateOf(response.statusCode, body);
    if (state === undefined) throw new Error(`the API server answered ${response.statusCode}`);
    this.take(key, state);
  }

  private take(key: string, state: T | { readonly wrong: string }): void {
    this.due.delete(key);
    if (!this.wanted.has(key)) return; // no more
    this.known.delete(key);
    this.known.set(key, !('wrong' in state));
    this.sink(key, state);
  }

  /** undefined: it cannot be said. */
  private stateOf(status: number, body: unknown): T | { readonly wrong: string } | undefined {
    if (status === 200 && body !== undefined) return this.kind.read(body);
    if (status === 404) return { wrong: 'does not exist' };
    if (status === 403) return { wrong: this.kind.forbidden };
    return undefined;
  }
}

/** Of `namespace/name`; whatever else has a slash in it belongs to the name. */
function partsOf(key: string): [namespace: string, name: string] {
  const at = key.indexOf('/');
  return [key.slice(0, at), key.slice(at + 1)];
}

import type { Reason } from '../../protocol/reasons.ts';
import type { Exchange } from '../exchange.ts';
import type { Explanation } from './explanation.ts';
import { ExplanationEntry } from './explanation-entry.ts';

/** The last so many explanations: entries are written over, the oldest first. */
class Ring {
  private readonly entries: ExplanationEntry[] = [];
  private next = 0;
  private readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  /** The entry to fill. */
  claim(): ExplanationEntry {
    const { next, entries } = this;
    this.next = next + 1 === this.size ? 0 : next + 1;
    const old = entries[next];
    if (old !== undefined) return old;
    const entry = new ExplanationEntry();
    entries.push(entry);
    return entry;
  }

  *newestFirst(): Generator<ExplanationEntry> {
    const { entries, next } = this;
    const count = entries.length;
    for (let back = 1; back <= count; back++)
      yield entries[(next - back + count) % count] as ExplanationEntry; // below count
  }
}

/** Beyond so many ordinary requests a second, a sample of them is kept: what is kept for long is copied by the collector. */
const KEPT_PER_MS = 1;
const KEPT_AT_ONCE = 512;

export const SLOW_MS = 1000;

/** Of requests that did not fail: a browser makes as many preflights as calls. */
const UNREMARKABLE: ReadonlySet<string> = new Set(['', 'redirect', 'cors-preflight'] satisfies (
  | Reason
  | ''
)[]);

/** Whether people ask for a request sooner than for others: it failed, was retried, or was slow. */
export function isNotable(
  { status, grpcStatus, reason, attempts }: Ended,
  durationMs: number,
  slowMs: number,
): boolean {
  const failed = status >= 500 || (grpcStatus ?? 0) > 0 || !UNREMARKABLE.has(reason);
  return failed || attempts.length > 1 || durationMs > slowMs;
}

/** How a request ended. */
type Ended = Pick<Explanation, 'status' | 'grpcStatus' | 'reason' | 'attempts'>;

/**
 * Keeps explanations: of ordinary requests for a while, of failed, retried and slow ones for longer too, so
 * that successes do not push them out. Bounded in count, and in bytes an entry.
 */
export class Explanations {
  private readonly all: Ring;
  private readonly notable: Ring;
  private readonly slowMs: number;
  /** Ordinary requests that may be kept now. */
  private tokens = KEPT_AT_ONCE;
  private lastMs = 0;

  constructor({ all = 2048, notable = 512, slowMs = SLOW_MS } = {}) {
    this.all = new Ring(all);
    this.notable = new Ring(notable);
    this.slowMs = slowMs;
  }

  /** Copies what an exchange holds; `nowMs` is its end on the clock of its start. */
  record(exchange: Exchange, nowMs: number): void {
    const durationMs = nowMs - exchange.startMs;
    const notable = isNotable(exchange, durationMs, this.slowMs);
    if (notable) this.notable.claim().fill(exchange, durationMs);
    if (this.mayKeep(nowMs) || notable) this.all.claim().fill(exchange, durationMs);
  }

  private mayKeep(nowMs: number): boolean {
    const tokens = Math.min(KEPT_AT_ONCE, this.tokens + (nowMs - this.lastMs) * KEPT_PER_MS);
    this.lastMs = nowMs;
    const may = tokens >= 1;
    this.tokens = may ? tokens - 1 : tokens;
    return may;
  }

  /** The newest request of an id, one that failed or was slow before others; further ones are its `others`. */
  find(id: string): Explanation | undefined {
    const same = this.distinct((entry) => entry.id === id);
    const [found] = same.splice(0, 1);
    if (found === undefined) return undefined;
    const others = same.map((entry) => entry.explanation()).sort((a, b) => a.at - b.at);
    return others.length === 0 ? found.explanation() : { ...found.explanation(), others };
  }

  /** The newest `limit`, those that failed or were slow first. */
  recent(limit: number): Explanation[] {
    return this.distinct(() => true)
      .slice(0, limit)
      .map((entry) => entry.explanation());
  }

  /** Entries of both rings, notable ones first, newest first; what is in both comes once. */
  private distinct(wanted: (entry: ExplanationEntry) => boolean): ExplanationEntry[] {
    const found = new Map<string, ExplanationEntry>();
    for (const ring of [this.notable, this.all]) {
      for (const entry of ring.newestFirst()) {
        const key = `${entry.startMs} ${entry.durationMs} ${entry.service} ${entry.id}`;
        if (wanted(entry) && !found.has(key)) found.set(key, entry);
      }
    }
    return [...found.values()];
  }
}

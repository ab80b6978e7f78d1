import type { RateLimit } from '../../protocol/traffic-policy.ts';

/** What one subject has of a quota that is kept in this process. Times in ms, on the monotonic clock. */
export interface LocalBucket {
  /** How many there are now. */
  left(nowMs: number): number;
  /** `count`: one, or what was used of the numbers that the limit had before. */
  take(nowMs: number, count?: number): void;
  /** One that was taken is free again: of concurrency only. */
  release(): void;
  /** How long until there is one, when there is none; 0: nobody knows. */
  nextMs(nowMs: number): number;
  /** How long until it is as if it had never been used. */
  wholeMs(nowMs: number): number;
}

/** What sums of parts of a token may be off. */
export const ROUNDED = 1e-6;

/** What a limit has when nothing was used of it. */
function capacityOf({ algorithm, tokens, burst }: RateLimit): number {
  return algorithm === 'token-bucket' ? burst : tokens;
}

/** A bucket of a limit that has other numbers now: what was used of the old ones is used of these, as if just now. */
export function changedBucket(
  bucket: LocalBucket,
  before: RateLimit,
  now: RateLimit,
  nowMs: number,
): LocalBucket {
  const used = Math.ceil(capacityOf(before) - bucket.left(nowMs) - ROUNDED);
  const changed = localBucket(now);
  // Places in use are so, whatever the limit is now.
  const most = now.algorithm === 'concurrency' ? used : Math.min(used, capacityOf(now));
  if (most > 0) changed.take(nowMs, most);
  return changed;
}

/** By the same semantics as the store of a control plane. */
export function localBucket(limit: RateLimit): LocalBucket {
  switch (limit.algorithm) {
    case 'token-bucket':
      return new TokenBucket(limit);
    case 'sliding-window':
      return limit.tokens <= MOST_TIMES ? new SlidingWindow(limit) : new SlottedWindow(limit);
    case 'sliding-estimate':
      return new SlidingEstimate(limit);
    case 'concurrency':
      return new Concurrency(limit);
  }
}

/** GCRA: one time says all. It is when the bucket would be full again. */
class TokenBucket implements LocalBucket {
  private readonly burst: number;
  private readonly everyMs: number;
  private fullMs = 0;

  constructor({ tokens, perMs, burst }: RateLimit) {
    this.burst = burst;
    this.everyMs = perMs / tokens;
  }

  left(nowMs: number): number {
    return this.burst - Math.max(0, this.fullMs - nowMs) / this.everyMs;
  }

  take(nowMs: number, count = 1): void {
    this.fullMs = Math.max(this.fullMs, nowMs) + count * this.everyMs;
  }

  release(): void {}

  nextMs(nowMs: number): number {
    return Math.max(0, (1 - this.left(nowMs)) * this.everyMs);
  }

  wholeMs(nowMs: number): number {
    return Math.max(0, this.fullMs - nowMs);
  }
}

/** So many times of a window are kept one by one. */
const MOST_TIMES = 128;

/** The times of the last `tokens` requests, in a ring. */
class SlidingWindow implements LocalBucket {
  private readonly perMs: number;
  private readonly times: Float64Array;
  /** Where the next one goes: the oldest stands there. */
  private at = 0;

  constructor({ tokens, perMs }: RateLimit) {
    this.perMs = perMs;
    this.times = new Float64Array(tokens).fill(Number.NEGATIVE_INFINITY);
  }

  left(nowMs: number): number {
    let left = 0;
    for (const time of this.times) if (time <= nowMs - this.perMs) left++;
    return left;
  }

  take(nowMs: number, count = 1): void {
    for (let taken = 0; taken < count; taken++) {
      this.times[this.at] = nowMs;
      this.at = (this.at + 1) % this.times.length;
    }
  }

  release(): void {}

  nextMs(nowMs: number): number {
    return Math.max(0, (this.times[this.at] ?? 0) + this.perMs - nowMs);
  }

  wholeMs(nowMs: number): number {
    const newest = this.times.at(this.at - 1) ?? 0;
    return Math.max(0, newest + this.perMs - nowMs);
  }
}

const SLOTS = 64;

/** Counts of parts of a window. The oldest part counts wholly until all of it is out: never more, up to 1/64 later. */
class SlottedWindow implements LocalBucket {
  private readonly tokens: number;
  private readonly slotMs: number;
  /** One more than the window has: of the oldest only a part is in it. */
  private readonly counts = new Uint32Array(SLOTS + 1);
  private slot = 0;
  private used = 0;

  constructor({ tokens, perMs }: RateLimit) {
    this.tokens = tokens;
    this.slotMs = perMs / SLOTS;
  }

  left(nowMs: number): number {
    this.advance(nowMs);
    return this.tokens - this.used;
  }

  take(nowMs: number, count = 1): void {
    this.advance(nowMs);
    const at = this.slot % this.counts.length;
    this.counts[at] = (this.counts[at] ?? 0) + count;
    this.used += count;
  }

  release(): void {}

  nextMs(nowMs: number): number {
    this.advance(nowMs);
    for (let age = SLOTS; age >= 0; age--) {
      if (this.countAt(this.slot - age) > 0) return (this.slot - age + SLOTS + 1) * this.slotMs - nowMs;
    }
    return 0;
  }

  wholeMs(nowMs: number): number {
    this.advance(nowMs);
    for (let age = 0; age <= SLOTS; age++) {
      if (this.countAt(this.slot - age) > 0) return (this.slot - age + SLOTS + 1) * this.slotMs - nowMs;
    }
    return 0;
  }

  private countAt(slot: number): number {
    return slot < 0 ? 0 : (this.counts[slot % this.counts.length] ?? 0);
  }

  private advance(nowMs: number): void {
    const slot = Math.floor(nowMs / this.slotMs);
    const steps = Math.min(slot - this.slot, this.counts.length);
    for (let step = 1; step <= steps; step++) {
      const at = (slot - steps + step) % this.counts.length;
      this.used -= this.counts[at] ?? 0;
      this.counts[at] = 0;
    }
    this.slot = Math.max(this.slot, slot);
  }
}

/** Two counters: that of the window before counts as far as it still reaches into the last `perMs`. */
class SlidingEstimate implements LocalBucket {
  private readonly tokens: number;
  private readonly perMs: number;
  private window = 0;
  private current = 0;
  private previous = 0;

  constructor({ tokens, perMs }: RateLimit) {
    this.tokens = tokens;
    this.perMs = perMs;
  }

  left(nowMs: number): number {
    this.advance(nowMs);
    const gone = nowMs / this.perMs - this.window;
    return this.tokens - this.current - this.previous * (1 - gone);
  }

  take(nowMs: number, count = 1): void {
    this.advance(nowMs);
    this.current += count;
  }

  release(): void {}

  nextMs(nowMs: number): number {
    const missing = 1 - this.left(nowMs);
    const endMs = (this.window + 1) * this.perMs;
    if (missing <= 0) return 0;
    const within = this.previous > 0 ? (missing / this.previous) * this.perMs : Number.POSITIVE_INFINITY;
    if (nowMs + within <= endMs) return within;
    // In the next window, when enough of this one has gone.
    const over = Math.max(0, this.current - this.tokens + 1);
    return endMs - nowMs + (this.current > 0 ? (over / this.current) * this.perMs : 0);
  }

  wholeMs(nowMs: number): number {
    this.advance(nowMs);
    const windows = this.current > 0 ? 2 : this.previous > 0 ? 1 : 0;
    return windows === 0 ? 0 : (this.window + windows) * this.perMs - nowMs;
  }

  private advance(nowMs: number): void {
    const window = Math.floor(nowMs / this.perMs);
    if (window === this.window) return;
    this.previous = window === this.window + 1 ? this.current : 0;
    this.current = 0;
    this.window = window;
  }
}

class Concurrency implements LocalBucket {
  private readonly tokens: number;
  private inUse = 0;

  constructor({ tokens }: RateLimit) {
    this.tokens = tokens;
  }

  left(): number {
    return this.tokens - this.inUse;
  }

  take(_nowMs: number, count = 1): void {
    this.inUse += count;
  }

  release(): void {
    if (this.inUse > 0) this.inUse--;
  }

  nextMs(): number {
    return 0;
  }

  wholeMs(): number {
    // Nobody knows when requests end: it is not forgotten before.
    return this.inUse > 0 ? Number.POSITIVE_INFINITY : 0;
  }
}

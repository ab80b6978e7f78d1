import type { RateLimit } from '../../protocol/traffic-policy.ts';

/** What was last heard of a quota before the store was lost. */
export interface LastHeard {
  /** Who draws on it, this one included. */
  readonly sharers: number;
  /** What it had left for all. */
  readonly remaining: number;
  /** In how many ms after that it would have been whole. */
  readonly resetMs: number;
}

/**
 * One sidecar's share of a quota while the store is away: the quota divided by all who draw on it. The shares of all
 * together are no more than the quota, since nobody begins with anything saved up:
 *
 * - a bucket of `burst/n` that fills with `tokens/n` and begins empty. A share of the burst below 1 admits nobody.
 * - of a window, `tokens/n` rounded down, spread evenly over it; and as long as requests from before the outage count
 *   in it, a share of what was left of it then.
 */
export class OutageShare {
  private readonly cap: number;
  private readonly perMs: number;
  private level: number;
  private stampMs: number;

  /** `fromMs`: when it begins. */
  constructor({ algorithm, tokens, perMs, burst }: RateLimit, heard: LastHeard, fromMs: number) {
    const { sharers } = heard;
    if (algorithm === 'token-bucket') {
      this.cap = burst / sharers;
      this.perMs = tokens / sharers / perMs;
      this.level = 0;
      this.stampMs = fromMs;
      return;
    }
    const whole = Math.floor(tokens / sharers);
    // One at once and the others evenly: no window of this length holds more than `whole`.
    this.cap = Math.min(1, whole);
    this.perMs = whole / perMs;
    this.level = Math.floor(Math.min(heard.remaining, tokens) / sharers);
    this.stampMs = fromMs + Math.min(heard.resetMs, perMs);
  }

  has(nowMs: number): boolean {
    this.fill(nowMs);
    return this.level >= 1;
  }

  take(): void {
    this.level--;
  }

  /** How long until there is one, in ms; Infinity: never. */
  nextMs(nowMs: number): number {
    if (this.cap < 1 && this.level < 1) return Number.POSITIVE_INFINITY;
    return Math.max(0, this.stampMs - nowMs) + Math.max(0, 1 - this.level) / this.perMs;
  }

  private fill(nowMs: number): void {
    if (nowMs <= this.stampMs) return;
    // What was left of a window may be more than it saves up.
    if (this.level < this.cap)
      this.level = Math.min(this.cap, this.level + (nowMs - this.stampMs) * this.perMs);
    this.stampMs = nowMs;
  }
}

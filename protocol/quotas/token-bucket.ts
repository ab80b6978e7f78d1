import type { Bucket } from './bucket.ts';
import type { Presence } from './presence.ts';
import type { QuotaTerms } from './quota-terms.ts';

/**
 * A token bucket (GCRA, by its level) whose tokens are used up to a lag L after their debit. It holds `capacity` =
 * burst - rate * L, so that what is used in any T is at most capacity + rate * (T + L) = burst + rate * T. When nothing
 * was debited for L since it was full, its level is `burst`, and all of that is free at once: the level falls to
 * -rate * L then. If rate * L <= 1, those tokens may also be debited one by one in the L after the first of them, which
 * is itself as much as what comes back meanwhile. Either way what is used in any T is no more.
 *
 * Of what was debited no more can be given back than there is room for, level + outstanding <= capacity, also later when
 * the bucket is emptier: else one that filled up meanwhile would hold the returned tokens twice.
 */
export class TokenBucket implements Bucket {
  /** It fills by itself: `waitMs` says all. */
  readonly allowedMs = Number.POSITIVE_INFINITY;
  private level = Number.POSITIVE_INFINITY;
  private atMs = -1e15; // not -Infinity: nothing times it is no number
  /** When it was debited for the first time after a rest. */
  private restedMs = -1e15;
  private rate = 0;
  private capacity = 0;
  /** The capacity when all of the quota is the store's to decide on. */
  private whole = 0;
  private burst = 0;
  /** Tokens debited in this slot of time and in the one before, as far as they can be given back. */
  private outstanding = 0;
  private outstandingBefore = 0;
  private slot = 0;
  private slotMs = 1;

  refresh(terms: QuotaTerms, { part, spans }: Pick<Presence, 'part' | 'spans'>, nowMs: number): void {
    this.rate = terms.rate;
    this.slotMs = terms.returnMs;
    this.turn(nowMs);
    this.resize(terms.capacity);
    this.capacity = terms.capacity * part;
    this.shrink();
    for (const span of spans) if (span.untilMs > this.atMs) this.fill(terms.burst, span.part, span.untilMs);
    this.burst = terms.burst * part;
    this.fill(terms.burst, part, nowMs);
    const room = Math.max(0, this.capacity - this.level);
    this.outstanding = Math.min(this.outstanding, room);
    this.outstandingBefore = Math.min(this.outstandingBefore, room - this.outstanding);
  }

  /** The limit has other numbers: what was used lately counts in the new ones. */
  private resize(whole: number): void {
    if (this.whole > 0) this.level += whole - this.whole;
    this.whole = whole;
  }

  /** More in it than it holds, and not at rest: it became smaller, and what was used lately counts in the smaller one. */
  private shrink(): void {
    const outstanding = this.outstanding + this.outstandingBefore;
    if (outstanding > 0 && this.level > this.capacity) this.level = this.capacity - outstanding;
  }

  private fill(burst: number, part: number, untilMs: number): void {
    const filled = this.level + this.rate * part * Math.max(0, untilMs - this.atMs);
    this.level = Math.min(filled, burst * part);
    this.atMs = Math.max(this.atMs, untilMs);
  }

  private turn(nowMs: number): void {
    const slot = Math.floor(nowMs / this.slotMs);
    if (slot <= this.slot) return;
    this.outstandingBefore = slot === this.slot + 1 ? this.outstanding : 0;
    this.outstanding = 0;
    this.slot = slot;
  }

  free(): number {
    return Math.max(0, Math.floor(Math.min(this.level, this.capacity) + this.overdraft() + 1e-6));
  }

  /** How far the level may fall below 0. */
  private overdraft(): number {
    const { burst, capacity, rate, atMs, restedMs } = this;
    if (this.rested()) return burst - capacity;
    const lag = burst - capacity;
    return lag <= 1 && (atMs - restedMs) * rate < lag ? lag : 0;
  }

  private rested(): boolean {
    return this.level >= this.burst - 1e-6;
  }

  debit(count: number): void {
    if (this.rested()) this.restedMs = this.atMs;
    this.level = Math.min(this.level, this.capacity) - count;
    this.outstanding += count;
  }

  giveBack(count: number, drawnMs: number): void {
    const old = Math.floor(drawnMs / this.slotMs) < this.slot;
    const credited = Math.min(count, old ? this.outstandingBefore : this.outstanding);
    if (old) this.outstandingBefore -= credited;
    else this.outstanding -= credited;
    this.level += credited;
  }

  waitMs(count: number): number {
    if (this.free() >= count) return 0;
    const needed = count <= this.capacity ? count : Math.max(count, this.burst);
    return Math.max(0, (needed - this.level) / this.rate);
  }

  resetMs(): number {
    return Math.max(0, (this.burst - this.level) / this.rate);
  }
}

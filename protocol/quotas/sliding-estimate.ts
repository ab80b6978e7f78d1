import type { Bucket } from './bucket.ts';
import { leastPart, type Presence } from './presence.ts';
import type { QuotaTerms } from './quota-terms.ts';

/**
 * A sliding window by two counters: that of the last window counts by the part of it that is still in sight, as if its
 * debits had come evenly. Of steady use it is as exact as the window. If all of the last window came at its end, a
 * window that begins there holds up to capacity * (1 + the part of the new one that is over), so never as much as
 * twice the capacity; each window between two multiples of `windowMs` holds at most the capacity.
 */
export class SlidingEstimate implements Bucket {
  private index = 0;
  private current = 0;
  private previous = 0;
  /** Of the current window, the part that is over. */
  private over = 0;
  private allowed = 0;
  allowedMs = Number.POSITIVE_INFINITY;
  private windowMs = 1;

  refresh(terms: QuotaTerms, presence: Pick<Presence, 'part' | 'spans'>, nowMs: number): void {
    this.windowMs = terms.windowMs;
    const least = leastPart(presence, nowMs, 2 * terms.windowMs);
    this.allowed = terms.capacity * least.part;
    this.allowedMs = least.forMs;
    const index = Math.max(this.index, Math.floor(nowMs / terms.windowMs));
    if (index > this.index) {
      this.previous = index === this.index + 1 ? this.current : 0;
      this.current = 0;
      this.index = index;
    }
    this.over = Math.min(1, Math.max(0, nowMs / terms.windowMs - index));
  }

  free(): number {
    return Math.max(0, Math.floor(this.allowed - this.current - this.previous * (1 - this.over) + 1e-6));
  }

  debit(count: number): void {
    this.current += count;
  }

  giveBack(count: number, drawnMs: number): void {
    const index = Math.floor(drawnMs / this.windowMs);
    if (index === this.index) this.current -= Math.min(count, this.current);
    else if (index === this.index - 1) this.previous -= Math.min(count, this.previous);
  }

  waitMs(count: number): number {
    if (this.free() >= count) return 0;
    const left = (1 - this.over) * this.windowMs;
    const most = this.allowed - count;
    if (this.current <= most) {
      const over = this.previous === 0 ? 1 : 1 - (most - this.current) / this.previous;
      return Math.max(0, (over - this.over) * this.windowMs);
    }
    return (
      left + (this.current === 0 ? 0 : Math.max(0, 1 - Math.max(0, most) / this.current) * this.windowMs)
    );
  }

  resetMs(): number {
    if (this.current > 0) return (2 - this.over) * this.windowMs;
    return this.previous > 0 ? (1 - this.over) * this.windowMs : 0;
  }
}

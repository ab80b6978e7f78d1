import type { Bucket } from './bucket.ts';
import { leastPart, type Presence } from './presence.ts';
import type { QuotaTerms } from './quota-terms.ts';

interface Granule {
  /** Its end: debits count a little longer than they must. */
  readonly endMs: number;
  count: number;
}

/** Never more than `capacity` debits in any window: each is remembered until it is that old. */
export class SlidingWindow implements Bucket {
  private granules: Granule[] = [];
  private sum = 0;
  private allowed = 0;
  allowedMs = Number.POSITIVE_INFINITY;
  private nowMs = 0;
  private windowMs = 0;
  private granuleMs = 1;

  refresh(terms: QuotaTerms, presence: Pick<Presence, 'part' | 'spans'>, nowMs: number): void {
    this.nowMs = Math.max(this.nowMs, nowMs);
    this.windowMs = terms.windowMs;
    this.granuleMs = terms.granuleMs;
    const least = leastPart(presence, nowMs, terms.windowMs);
    this.allowed = terms.capacity * least.part;
    this.allowedMs = least.forMs;
    const kept = this.granules.findIndex(({ endMs }) => endMs > this.nowMs - this.windowMs);
    const gone = this.granules.splice(0, kept < 0 ? this.granules.length : kept);
    for (const { count } of gone) this.sum -= count;
  }

  free(): number {
    return Math.max(0, Math.floor(this.allowed + 1e-6) - this.sum);
  }

  debit(count: number): void {
    const endMs = this.endOf(this.nowMs);
    const last = this.granules.at(-1);
    if (last !== undefined && last.endMs >= endMs) last.count += count;
    else this.granules.push({ endMs, count });
    this.sum += count;
  }

  giveBack(count: number, drawnMs: number): void {
    const granule = this.granules.find(({ endMs }) => endMs === this.endOf(drawnMs));
    if (granule === undefined) return;
    const credited = Math.min(count, granule.count);
    granule.count -= credited;
    this.sum -= credited;
  }

  private endOf(ms: number): number {
    return (Math.floor(ms / this.granuleMs) + 1) * this.granuleMs;
  }

  waitMs(count: number): number {
    let missing = count - this.free();
    if (missing <= 0) return 0;
    for (const granule of this.granules) {
      missing -= granule.count;
      if (missing <= 0) return Math.max(0, granule.endMs + this.windowMs - this.nowMs);
    }
    return this.windowMs;
  }

  resetMs(): number {
    const last = this.granules.at(-1);
    return last === undefined ? 0 : Math.max(0, last.endMs + this.windowMs - this.nowMs);
  }
}

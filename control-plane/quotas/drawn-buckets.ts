import { LEASE_MS } from '../../protocol/quotas/quota-terms.ts';
import { DrawnLately } from './drawn-lately.ts';

/** Buckets of which is remembered what may be given back. */
const MAX_REMEMBERED = 100_000;

/** What one stream drew lately, bucket by bucket: as long as it may be given back, which is no longer than a lease. */
export class DrawnBuckets {
  /** In the order of their last draws. */
  private readonly byName = new Map<string, DrawnLately>();

  /** `atMs`: by the store's clock. */
  note(bucket: string, count: number, atMs: number): void {
    const drawn = this.byName.get(bucket) ?? new DrawnLately();
    drawn.note(count, atMs);
    this.byName.delete(bucket);
    // Subjects are the callers' to choose: who came once would stay for as long as the stream.
    for (const [name, { newestMs }] of this.byName) {
      if (newestMs >= atMs - LEASE_MS) break;
      this.byName.delete(name);
    }
    // What is forgotten cannot be given back: it is lost for a moment, never doubled.
    if (this.byName.size >= MAX_REMEMBERED) this.byName.clear();
    this.byName.set(bucket, drawn);
  }

  /** Takes `count` tokens, or as many as there are, that were debited at `sinceMs` or later. */
  take(bucket: string, count: number, sinceMs: number): ReturnType<DrawnLately['take']> {
    const drawn = this.byName.get(bucket);
    if (drawn === undefined) return [];
    drawn.forgetBefore(sinceMs);
    const taken = count === 0 ? [] : drawn.take(count);
    if (drawn.empty) this.byName.delete(bucket);
    return taken;
  }

  get size(): number {
    return this.byName.size;
  }
}

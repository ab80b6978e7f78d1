/** One debit that may still be given back. */
interface Debit {
  /** By the store's clock, in ms. */
  readonly drawnMs: number;
  count: number;
}

const MAX_DEBITS = 64;

/**
 * What one stream drew on one bucket lately. Only that can be given back: who gives back more than it drew
 * would make the quota larger.
 */
export class DrawnLately {
  private debits: Debit[] = [];

  note(count: number, drawnMs: number): void {
    if (count === 0) return;
    if (this.debits.length >= MAX_DEBITS) this.debits.shift();
    this.debits.push({ drawnMs, count });
  }

  /**
   * Takes `count` tokens of debits that are given back, the oldest first; there may be fewer. If the sidecar means
   * newer ones, what it used of the older counts as debited later: longer, never shorter.
   */
  take(count: number): { count: number; drawnMs: number }[] {
    const taken: { count: number; drawnMs: number }[] = [];
    let left = count;
    for (const debit of this.debits) {
      const part = Math.min(left, debit.count);
      if (part > 0) taken.push({ count: part, drawnMs: debit.drawnMs });
      debit.count -= part;
      left -= part;
    }
    this.debits = this.debits.filter((debit) => debit.count > 0);
    return taken;
  }

  /** Forgets what was debited before `ms`. */
  forgetBefore(ms: number): void {
    while ((this.debits[0]?.drawnMs ?? ms) < ms) this.debits.shift();
  }

  /** When it was debited last. */
  get newestMs(): number {
    return this.debits.at(-1)?.drawnMs ?? Number.NEGATIVE_INFINITY;
  }

  get empty(): boolean {
    return this.debits.length === 0;
  }
}

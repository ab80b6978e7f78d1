/** What was admitted, by ms: enough to check each window afterwards. */
export class Admitted {
  private readonly counts: Uint32Array;
  total = 0;
  private takenTo = 0;

  /** No more than `lengthMs` after the start. */
  constructor(lengthMs: number) {
    this.counts = new Uint32Array(lengthMs + 1);
  }

  /** `nowMs`: since the start. */
  note(nowMs: number): void {
    const at = Math.floor(nowMs);
    if (at >= 0 && at < this.counts.length) this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.total++;
  }

  /** What was noted since this was last called, up to the ms before `nowMs`. */
  take(nowMs: number): AdmittedPart {
    const fromMs = this.takenTo;
    this.takenTo = Math.max(fromMs, Math.floor(nowMs));
    return { fromMs, counts: this.counts.slice(fromMs, this.takenTo) };
  }

  /** What another noted, from the same start. */
  add({ fromMs, counts }: AdmittedPart): void {
    for (const [at, count] of counts.entries()) {
      this.counts[fromMs + at] = (this.counts[fromMs + at] ?? 0) + count;
      this.total += count;
    }
  }

  /** Admitted from `fromMs` to before `toMs`, in ms since the start. */
  between(fromMs: number, toMs: number): number {
    let sum = 0;
    for (let at = Math.max(0, Math.floor(fromMs)); at < toMs && at < this.counts.length; at++)
      sum += this.counts[at] ?? 0;
    return sum;
  }

  /**
   * The most that any window of any length, from `fromMs` to `toMs`, holds beyond burst + rate * T, `rate` a ms. More than 0:
   * the quota was exceeded. Times are known to 1 ms, by which each window counts as longer.
   */
  excess(rate: number, burst: number, fromMs = 0, toMs = this.counts.length): number {
    let [worst, run] = [Number.NEGATIVE_INFINITY, 0];
    for (const count of this.counts.subarray(Math.floor(fromMs), Math.floor(toMs))) {
      run = Math.max(0, run) + count - rate;
      if (run > worst) worst = run;
    }
    return worst - burst;
  }
}

/** Counts by ms from `fromMs` on. */
export interface AdmittedPart {
  readonly fromMs: number;
  readonly counts: Uint32Array;
}

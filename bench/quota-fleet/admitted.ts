/** What was admitted, by ms: enough to check each window afterwards. */
export class Admitted {
  private readonly counts: Uint32Array;
  private readonly startMs: number;
  total = 0;

  /** `startMs` by `performance.now()`; no more than `lengthMs` after it. */
  constructor(startMs: number, lengthMs: number) {
    this.startMs = startMs;
    this.counts = new Uint32Array(lengthMs + 1);
  }

  note(nowMs: number): void {
    const at = Math.floor(nowMs - this.startMs);
    if (at >= 0 && at < this.counts.length) this.counts[at] = (this.counts[at] ?? 0) + 1;
    this.total++;
  }

  /** Admitted from `fromMs` to before `toMs`, in ms since the start. */
  between(fromMs: number, toMs: number): number {
    let sum = 0;
    for (let at = Math.max(0, Math.floor(fromMs)); at < toMs && at < this.counts.length; at++)
      sum += this.counts[at] ?? 0;
    return sum;
  }

  /**
   * The most that any window of any length holds beyond burst + rate * T, `rate` a ms. More than 0: the quota was
   * exceeded. Times are known to 1 ms, by which each window counts as longer.
   */
  excess(rate: number, burst: number): number {
    let [worst, run] = [Number.NEGATIVE_INFINITY, 0];
    for (const count of this.counts) {
      run = Math.max(0, run) + count - rate;
      if (run > worst) worst = run;
    }
    return worst - burst;
  }
}

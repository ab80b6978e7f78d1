const WINDOW_MS = 10_000;
const SLICES = 10;
const SLICE_MS = WINDOW_MS / SLICES;

/**
 * Bounds the retries of one service: at most `ratio` of the requests of the last ten seconds, plus
 * `perSecond`. A failing service so never gets more than that above its load (Finagle's RetryBudget).
 */
export class RetryBudget {
  private ratio = 0;
  private perSecond = 0;
  private readonly requests = new Float64Array(SLICES);
  private readonly retries = new Float64Array(SLICES);
  private slice = 0;

  /** New limits for the same past: a change of configuration gives nobody a fresh budget. */
  limit(ratio: number, perSecond: number): void {
    this.ratio = ratio;
    this.perSecond = perSecond;
  }

  /** Counts a first attempt. `nowMs` is monotonic. */
  countRequest(nowMs: number): void {
    this.advance(nowMs);
    const index = this.slice % SLICES;
    this.requests[index] = (this.requests[index] ?? 0) + 1;
  }

  /** Takes one retry out of the budget; false when there is none left. */
  tryRetry(nowMs: number): boolean {
    this.advance(nowMs);
    const allowed = sum(this.requests) * this.ratio + (this.perSecond * WINDOW_MS) / 1000;
    if (sum(this.retries) + 1 > allowed) return false;
    const index = this.slice % SLICES;
    this.retries[index] = (this.retries[index] ?? 0) + 1;
    return true;
  }

  /** What comes with an earlier time, as a request that was held back, counts to the newest slice. */
  private advance(nowMs: number): void {
    const slice = Math.floor(nowMs / SLICE_MS);
    if (slice <= this.slice) return;
    const from = Math.max(this.slice + 1, slice - SLICES + 1);
    for (let passed = from; passed <= slice; passed++) {
      this.requests[passed % SLICES] = 0;
      this.retries[passed % SLICES] = 0;
    }
    this.slice = slice;
  }
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

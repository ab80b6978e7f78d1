/** Bounds of the buckets grow by a fifth each: a quantile is that precise. */
const GROWTH = 1.2;
const SMALLEST_MS = 0.1;
/** Up to 0.1 ms * 1.2^87, 13 minutes. */
const BUCKETS = 88;
const LOG_GROWTH = Math.log(GROWTH);

/** Latencies of the last one to two of these count. */
const HALF_MS = 15_000;

/** A quantile is looked up again after so long: it changes slowly, and is asked for at every request. */
const KEPT_MS = 250;

/** The recent latencies of one service, counted in buckets: to observe one is one addition. */
export class LatencyWindow {
  private now = new Uint32Array(BUCKETS);
  private before = new Uint32Array(BUCKETS);
  private sinceMs = 0;
  private keptAtMs = Number.NEGATIVE_INFINITY;
  private keptFor = 0;
  private kept = 0;

  /** `nowMs` is monotonic. */
  observe(nowMs: number, latencyMs: number): void {
    this.turn(nowMs);
    const bucket = bucketOf(latencyMs);
    this.now[bucket] = (this.now[bucket] as number) + 1;
  }

  /**
   * The latency in ms that a share of `quantile` of the recent ones did not exceed, rounded up to its bucket; 0 while
   * there are too few of them to tell: one beyond the quantile must be expected among them.
   */
  quantile(nowMs: number, quantile: number): number {
    if (nowMs - this.keptAtMs < KEPT_MS && this.keptFor === quantile) return this.kept;
    this.turn(nowMs);
    this.kept = this.lookUp(quantile);
    this.keptFor = quantile;
    // That it is not known yet may change with the next one.
    this.keptAtMs = this.kept > 0 ? nowMs : Number.NEGATIVE_INFINITY;
    return this.kept;
  }

  private lookUp(quantile: number): number {
    let total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) total += this.count(bucket);
    if (total * (1 - quantile) < 1 - 1e-9) return 0;
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      below += this.count(bucket);
      if (below >= total * quantile) return SMALLEST_MS * GROWTH ** bucket;
    }
    return SMALLEST_MS * GROWTH ** (BUCKETS - 1);
  }

  private count(bucket: number): number {
    return (this.now[bucket] as number) + (this.before[bucket] as number); // below their length
  }

  private turn(nowMs: number): void {
    const passed = nowMs - this.sinceMs;
    if (passed < HALF_MS) return;
    const { now } = this;
    this.now = this.before.fill(0);
    this.before = passed < 2 * HALF_MS ? now : now.fill(0);
    this.sinceMs = nowMs;
    this.keptAtMs = Number.NEGATIVE_INFINITY;
  }
}

function bucketOf(latencyMs: number): number {
  if (!(latencyMs > SMALLEST_MS)) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log(latencyMs / SMALLEST_MS) / LOG_GROWTH - 1e-9));
}

/** Upper bounds of the latency histogram, in ms; the last bucket is open. */
export const BUCKETS_MS = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

/** Who called whom, as seen by one side. */
export interface Edge {
  readonly reporter: 'source' | 'destination';
  /** `namespace/serviceaccount`, or `unknown`. */
  readonly source: string;
  /** `namespace/name`, or `unknown`. */
  readonly destination: string;
  readonly mtls: boolean;
}

/** Counters of one edge: plain numbers on the hot path, read when somebody scrapes. */
export class EdgeStats {
  readonly edge: Edge;
  /** Requests by status code; index is the code. */
  readonly byStatus: number[] = new Array<number>(600).fill(0);
  readonly byReason = new Map<string, number>();
  readonly buckets = new Float64Array(BUCKETS_MS.length + 1);
  durationSumMs = 0;
  requestBytes = 0;
  responseBytes = 0;
  requests = 0;
  retries = 0;

  constructor(edge: Edge) {
    this.edge = edge;
  }

  observe(status: number, durationMs: number, requestBytes: number, responseBytes: number, reason: string): void {
    this.requests++;
    const code = status > 0 && status < 600 ? status : 0;
    this.byStatus[code] = (this.byStatus[code] ?? 0) + 1;
    let bucket = 0;
    while (bucket < BUCKETS_MS.length && durationMs > (BUCKETS_MS[bucket] as number)) bucket++; // below the length
    this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1;
    this.durationSumMs += durationMs;
    this.requestBytes += requestBytes;
    this.responseBytes += responseBytes;
    if (reason !== '') this.byReason.set(reason, (this.byReason.get(reason) ?? 0) + 1);
  }
}

/** Names come from callers in part: beyond so many edges, the rest is counted together. */
const MAX_EDGES = 5000;

export class EdgeRegistry {
  private readonly edges = new Map<string, EdgeStats>();

  get(edge: Edge): EdgeStats {
    const key = `${edge.reporter} ${edge.source} ${edge.destination} ${edge.mtls}`;
    let stats = this.edges.get(key);
    if (stats === undefined) {
      if (this.edges.size >= MAX_EDGES && edge.destination !== 'other') {
        return this.get({ ...edge, source: 'other', destination: 'other' });
      }
      stats = new EdgeStats(edge);
      this.edges.set(key, stats);
    }
    return stats;
  }

  all(): IterableIterator<EdgeStats> {
    return this.edges.values();
  }
}

import { BUCKETS_BYTES, BUCKETS_MS, bucketOf } from './buckets.ts';

/** Who called whom, as seen by one side. */
export interface Edge {
  readonly reporter: 'source' | 'destination';
  /** `namespace/serviceaccount`, or `unknown`. */
  readonly source: string;
  /** `namespace/name`, or `unknown`. */
  readonly destination: string;
  /** `http`, `grpc` or `tcp`. */
  readonly protocol: string;
  readonly mtls: boolean;
}

/** How many requests ended with a status for a reason ('' when Tulle had no part in it). */
export interface Outcome {
  readonly status: number;
  readonly reason: string;
  count: number;
}

const STATUSES = 600;

/** Statuses seen in this process get small numbers, so that an edge counts in a short array. */
const slotOf = new Int16Array(STATUSES).fill(-1);
const statusOf: number[] = [];

function newSlot(status: number): number {
  const slot = statusOf.push(status) - 1;
  slotOf[status] = slot;
  return slot;
}

/** Counters of one edge: plain numbers on the hot path, read when somebody scrapes. */
export class EdgeStats {
  readonly edge: Edge;
  readonly durations = new Float64Array(BUCKETS_MS.length + 1);
  readonly requestSizes = new Float64Array(BUCKETS_BYTES.length + 1);
  readonly responseSizes = new Float64Array(BUCKETS_BYTES.length + 1);
  durationSumMs = 0;
  requestBytes = 0;
  responseBytes = 0;
  requests = 0;
  retries = 0;
  /** Opaque connections, and their bytes: from the one who called, and to it. */
  tcpOpened = 0;
  tcpClosed = 0;
  tcpReceivedBytes = 0;
  tcpSentBytes = 0;
  /** Opaque connections that did not end well, by reason. */
  readonly tcpFailures = new Map<string, number>();
  /** Requests without a reason, by slot of their status. */
  private plain = new Float64Array(4);
  private readonly withReason: Outcome[] = [];

  constructor(edge: Edge) {
    this.edge = edge;
  }

  /** Counts one request that is over. `status` 0: it got no response. `reason`: a `tulle-reason` code or ''. */
  observe(
    status: number,
    durationMs: number,
    requestBytes: number,
    responseBytes: number,
    reason: string,
  ): void {
    const code = status > 0 && status < STATUSES ? status : 0;
    if (reason === '') this.countPlain(code);
    else this.countReason(code, reason);
    const duration = bucketOf(BUCKETS_MS, durationMs);
    const request = bucketOf(BUCKETS_BYTES, requestBytes);
    const response = bucketOf(BUCKETS_BYTES, responseBytes);
    // Buckets are below the lengths.
    this.durations[duration] = (this.durations[duration] as number) + 1;
    this.requestSizes[request] = (this.requestSizes[request] as number) + 1;
    this.responseSizes[response] = (this.responseSizes[response] as number) + 1;
    this.requests++;
    this.durationSumMs += durationMs;
    this.requestBytes += requestBytes;
    this.responseBytes += responseBytes;
  }

  /** All outcomes with their counts. */
  outcomes(): Outcome[] {
    const plain = [...this.plain].map((count, slot) => ({ status: statusOf[slot] ?? 0, reason: '', count }));
    return [...plain.filter(({ count }) => count > 0), ...this.withReason];
  }

  private countPlain(status: number): void {
    let slot = slotOf[status] as number; // status is below the length
    if (slot < 0) slot = newSlot(status);
    if (slot >= this.plain.length) this.grow(slot);
    this.plain[slot] = (this.plain[slot] as number) + 1;
  }

  private grow(slot: number): void {
    const larger = new Float64Array(slot + 4);
    larger.set(this.plain);
    this.plain = larger;
  }

  private countReason(status: number, reason: string): void {
    for (const outcome of this.withReason) {
      if (outcome.status !== status || outcome.reason !== reason) continue;
      outcome.count++;
      return;
    }
    this.withReason.push({ status, reason, count: 1 });
  }
}

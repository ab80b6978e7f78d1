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
  /** -1 where it was no gRPC call, or none came. */
  readonly grpcStatus: number;
  readonly reason: string;
  count: number;
}

/** All counters of one edge as plain numbers, to be sent to another process. */
export interface EdgeNumbers {
  readonly edge: Edge;
  readonly outcomes: readonly Outcome[];
  readonly durations: readonly number[];
  readonly requestSizes: readonly number[];
  readonly responseSizes: readonly number[];
  readonly durationSumMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly requests: number;
  readonly retries: number;
  readonly delays: number;
  readonly tcpOpened: number;
  readonly tcpClosed: number;
  readonly tcpReceivedBytes: number;
  readonly tcpSentBytes: number;
  readonly tcpFailures: readonly NamedCount[];
  readonly withheld: readonly NamedCount[];
  readonly hedges: readonly NamedCount[];
}

type NamedCount = readonly [name: string, count: number];

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
  /** Times that requests were held back on purpose. */
  delays = 0;
  /** Opaque connections, and their bytes: from the one who called, and to it. */
  tcpOpened = 0;
  tcpClosed = 0;
  tcpReceivedBytes = 0;
  tcpSentBytes = 0;
  /** Opaque connections that did not end well, by reason. */
  readonly tcpFailures = new Map<string, number>();
  /** Requests whose last failed attempt was not made again, by why. */
  readonly withheld = new Map<string, number>();
  /** Requests that were hedged, by what came of it. */
  readonly hedges = new Map<string, number>();
  /** Requests without a reason, by slot of their status. */
  private plain = new Float64Array(4);
  private readonly special: Outcome[] = [];

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
    grpcStatus = -1,
  ): void {
    const code = status > 0 && status < STATUSES ? status : 0;
    if (reason === '' && grpcStatus < 0) this.countPlain(code, 1);
    else this.countSpecial(code, knownGrpcStatus(grpcStatus), reason, 1);
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
    const plain = [...this.plain].map((count, slot) => ({
      status: statusOf[slot] ?? 0,
      grpcStatus: -1,
      reason: '',
      count,
    }));
    return [...plain.filter(({ count }) => count > 0), ...this.special];
  }

  numbers(): EdgeNumbers {
    const { edge, durationSumMs, requestBytes, responseBytes, requests, retries, delays } = this;
    const { tcpOpened, tcpClosed, tcpReceivedBytes, tcpSentBytes } = this;
    return {
      edge,
      outcomes: this.outcomes(),
      durations: [...this.durations],
      requestSizes: [...this.requestSizes],
      responseSizes: [...this.responseSizes],
      durationSumMs,
      requestBytes,
      responseBytes,
      requests,
      retries,
      delays,
      tcpOpened,
      tcpClosed,
      tcpReceivedBytes,
      tcpSentBytes,
      tcpFailures: [...this.tcpFailures],
      withheld: [...this.withheld],
      hedges: [...this.hedges],
    };
  }

  /** Counts what another process counted besides. */
  add(numbers: EdgeNumbers): void {
    for (const { status, grpcStatus, reason, count } of numbers.outcomes) {
      if (reason === '' && grpcStatus < 0) this.countPlain(status, count);
      else this.countSpecial(status, grpcStatus, reason, count);
    }
    addEach(this.durations, numbers.durations);
    addEach(this.requestSizes, numbers.requestSizes);
    addEach(this.responseSizes, numbers.responseSizes);
    this.durationSumMs += numbers.durationSumMs;
    this.requestBytes += numbers.requestBytes;
    this.responseBytes += numbers.responseBytes;
    this.requests += numbers.requests;
    this.retries += numbers.retries;
    this.delays += numbers.delays;
    this.tcpOpened += numbers.tcpOpened;
    this.tcpClosed += numbers.tcpClosed;
    this.tcpReceivedBytes += numbers.tcpReceivedBytes;
    this.tcpSentBytes += numbers.tcpSentBytes;
    for (const [reason, count] of numbers.tcpFailures) addNamed(this.tcpFailures, reason, count);
    for (const [why, count] of numbers.withheld) addNamed(this.withheld, why, count);
    for (const [result, count] of numbers.hedges) addNamed(this.hedges, result, count);
  }

  private countPlain(status: number, count: number): void {
    let slot = slotOf[status] as number; // status is below the length
    if (slot < 0) slot = newSlot(status);
    if (slot >= this.plain.length) this.grow(slot);
    this.plain[slot] = (this.plain[slot] as number) + count;
  }

  private grow(slot: number): void {
    const larger = new Float64Array(slot + 4);
    larger.set(this.plain);
    this.plain = larger;
  }

  private countSpecial(status: number, grpcStatus: number, reason: string, count: number): void {
    for (const outcome of this.special) {
      if (outcome.status !== status || outcome.grpcStatus !== grpcStatus || outcome.reason !== reason)
        continue;
      outcome.count += count;
      return;
    }
    this.special.push({ status, grpcStatus, reason, count });
  }
}

/** Statuses are an upstream's to invent; those that gRPC does not have are counted as UNKNOWN. */
function knownGrpcStatus(status: number): number {
  return status <= 16 ? status : 2; // false for NaN too
}

export function addNamed(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count);
}

function addEach(counts: Float64Array, added: readonly number[]): void {
  for (const [index, count] of added.entries()) counts[index] = (counts[index] ?? 0) + count;
}

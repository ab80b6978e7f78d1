import type { Exchange } from '../exchange.ts';
import type { Attempt } from '../telemetry/explanation.ts';
import { deadlineLine, grpcAskedMs, NO_DEADLINE, TIMEOUT_FIELD, timeoutFieldMs } from './deadlines.ts';

/** Which attempt this is at the hop that makes attempts, from 2 on (as Envoy's x-envoy-attempt-count). */
const ATTEMPT_FIELD = 'tulle-attempt';

/** A request of a stranger: a gateway says so to the service's sidecar. */
const EDGE_FIELD = 'tulle-edge';
export const EDGE_LINE = `${EDGE_FIELD}: 1\r\n`;

/** What the mesh says of a request's way so far. */
export interface RequestMarks {
  /** Which attempt of a caller it is; 1: the first, or nobody says. */
  readonly attempt: number;
  /** When its time is over, on the clock of `performance.now()`. */
  readonly deadlineMs: number;
}

export const UNMARKED: RequestMarks = { attempt: 1, deadlineMs: NO_DEADLINE };

/**
 * Takes what a request says of its way out of its head, but for gRPC's own deadline, which stays in it. `believed`: it
 * comes from a mesh peer or from the local application. A stranger could otherwise have requests fail by a time of its
 * own, for which an endpoint is blamed, or keep them from being retried.
 */
export function takeMarks({ head, startMs, grpc }: Exchange, believed: boolean): RequestMarks {
  const timeout = head.get(TIMEOUT_FIELD);
  const attempt = head.get(ATTEMPT_FIELD);
  if (timeout !== undefined) head.remove(TIMEOUT_FIELD);
  if (attempt !== undefined) head.remove(ATTEMPT_FIELD);
  if (!believed) return UNMARKED;
  const leftMs = Math.min(timeoutFieldMs(timeout), grpc ? grpcAskedMs(head) : NO_DEADLINE);
  if (leftMs === NO_DEADLINE && attempt === undefined) return UNMARKED;
  return { attempt: attemptOf(attempt), deadlineMs: startMs + leftMs };
}

/**
 * Whether the request is a stranger's, by the word of a gateway, which is taken out. Who says so itself is told less, so anybody is
 * believed.
 */
export function takeEdge({ head }: Exchange): boolean {
  if (head.get(EDGE_FIELD) === undefined) return false;
  head.remove(EDGE_FIELD);
  return true;
}

function attemptOf(value: string | undefined): number {
  return value !== undefined && /^\d{1,2}$/.test(value) ? Math.max(1, Number(value)) : 1;
}

/** Those of both. */
export function joined(one: RequestMarks, other: RequestMarks): RequestMarks {
  return {
    attempt: Math.max(one.attempt, other.attempt),
    deadlineMs: Math.min(one.deadlineMs, other.deadlineMs),
  };
}

/** A deadline that is this near the one that the caller wrote passes as it is. */
const AS_WRITTEN_MS = 1;

/**
 * Header lines of the attempt `current`: what is left of its time, and which attempt it is. Both are for
 * the mesh alone; gRPC's deadline is for everybody.
 */
export function attemptFields(
  exchange: Exchange,
  current: Attempt,
  marks: RequestMarks,
  deadlineMs: number,
  toMesh: boolean,
): string {
  const { attempts, grpc, startMs, head } = exchange;
  const nowMs = performance.now();
  // The caller may have written one that is farther than that of the request for which it calls.
  const asWritten = grpc && nowMs - startMs < AS_WRITTEN_MS && deadlineMs === startMs + grpcAskedMs(head);
  const tellsTime = deadlineMs !== NO_DEADLINE && (grpc || toMesh) && !asWritten;
  // The last of them may be a hedge, begun while this one still connected.
  const attempt = marks.attempt > 1 ? marks.attempt : attempts.indexOf(current) + 1;
  const time = tellsTime ? deadlineLine(exchange, Math.max(1, deadlineMs - nowMs)) : '';
  return toMesh && attempt > 1 ? `${time}${ATTEMPT_FIELD}: ${attempt}\r\n` : time;
}

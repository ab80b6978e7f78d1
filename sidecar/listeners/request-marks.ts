import type { Exchange } from '../exchange.ts';
import { deadlineLine, NO_DEADLINE, TIMEOUT_FIELD, timeoutFieldMs } from './deadlines.ts';

/** Which attempt this is at the hop that makes attempts, from 2 on (as Envoy's x-envoy-attempt-count). */
const ATTEMPT_FIELD = 'tulle-attempt';

/** What the mesh says of a request's way so far. */
export interface RequestMarks {
  /** Which attempt of a caller it is; 1: the first, or nobody says. */
  readonly attempt: number;
  /** When its time is over, on the clock of `performance.now()`. */
  readonly deadlineMs: number;
}

export const UNMARKED: RequestMarks = { attempt: 1, deadlineMs: NO_DEADLINE };

/**
 * Takes what a request says of its way out of its head. `believed`: it comes from a mesh peer or from the local
 * application. A stranger could otherwise have requests fail by a time of its own, for which an endpoint is blamed,
 * or keep them from being retried.
 */
export function takeMarks({ head, startMs }: Exchange, believed: boolean): RequestMarks {
  const timeout = head.get(TIMEOUT_FIELD);
  const attempt = head.get(ATTEMPT_FIELD);
  if (timeout === undefined && attempt === undefined) return UNMARKED;
  head.remove(TIMEOUT_FIELD);
  head.remove(ATTEMPT_FIELD);
  if (!believed) return UNMARKED;
  return { attempt: attemptOf(attempt), deadlineMs: startMs + timeoutFieldMs(timeout) };
}

function attemptOf(value: string | undefined): number {
  return value !== undefined && /^\d{1,2}$/.test(value) ? Math.max(1, Number(value)) : 1;
}

/** Those of both. */
export function joined(one: RequestMarks, other: RequestMarks | undefined): RequestMarks {
  if (other === undefined) return one;
  return {
    attempt: Math.max(one.attempt, other.attempt),
    deadlineMs: Math.min(one.deadlineMs, other.deadlineMs),
  };
}

/** A deadline that is this near the one that the caller wrote passes as it is. */
const AS_WRITTEN_MS = 1;

/**
 * Header lines of the attempt that was begun last: what is left of its time, and which attempt it is. Both are for
 * the mesh alone; gRPC's deadline is for everybody. `byPolicy`: the deadline is not the one that the caller wrote.
 */
export function attemptFields(
  exchange: Exchange,
  marks: RequestMarks,
  deadlineMs: number,
  byPolicy: boolean,
  toMesh: boolean,
): string {
  const { attempts, grpc, startMs, head } = exchange;
  const leftMs = deadlineMs - performance.now();
  const asWritten =
    grpc &&
    !byPolicy &&
    head.get('grpc-timeout') !== undefined &&
    deadlineMs - leftMs - startMs < AS_WRITTEN_MS;
  const tellsTime = deadlineMs !== NO_DEADLINE && (grpc || toMesh) && !asWritten;
  const attempt = marks.attempt > 1 ? marks.attempt : attempts.length;
  const time = tellsTime ? deadlineLine(exchange, Math.max(1, leftMs)) : '';
  return toMesh && attempt > 1 ? `${time}${ATTEMPT_FIELD}: ${attempt}\r\n` : time;
}

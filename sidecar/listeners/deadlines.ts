import type { Cluster } from '../balancing/cluster.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { MessageHead } from '../http/message-head.ts';
import { grpcTimeout, grpcTimeoutMs } from './grpc-deadline.ts';

/** What is left of a request's time in whole ms, from one proxy of the mesh to the next. */
export const TIMEOUT_FIELD = 'tulle-timeout-ms';

/** There is no deadline. */
export const NO_DEADLINE = Number.POSITIVE_INFINITY;

/** A deadline that is handed on is up to so much nearer than it was. */
export const ROUNDED_MS = 1;

/** Longer waits than a timer can hold are none. */
const LONGEST_MS = 2 ** 31 - 1;

/** How long the caller of a gRPC call waits, in ms; NO_DEADLINE when it does not say. */
export function grpcAskedMs(head: MessageHead): number {
  return grpcTimeoutMs(head.get('grpc-timeout')) || NO_DEADLINE;
}

/** Milliseconds of a `tulle-timeout-ms`, 0 when they are over; NO_DEADLINE when it says nothing that is understood. */
export function timeoutFieldMs(value: string | undefined): number {
  if (value === undefined || !/^\d{1,10}$/.test(value)) return NO_DEADLINE;
  const ms = Number(value);
  return ms > LONGEST_MS ? NO_DEADLINE : ms;
}

/** The header line that hands on what is left of a deadline, `leftMs` above 0; in gRPC it takes the place of the caller's. */
export function deadlineLine(exchange: Exchange, leftMs: number): string {
  if (!exchange.grpc) return `${TIMEOUT_FIELD}: ${Math.max(1, Math.floor(leftMs))}\r\n`;
  exchange.head.remove('grpc-timeout');
  return `grpc-timeout: ${grpcTimeout(leftMs)}\r\n`;
}

/**
 * Whose time is over: a policy's timeout, or the deadline that the caller has set. `fullPool`: of whose connections one was
 * waited for, which others had.
 */
export function timedOut(
  exchange: Exchange,
  timeoutMs: number,
  byPolicy: boolean,
  fullPool: Cluster | undefined,
): LocalAnswer {
  const whose = byPolicy ? 'timeout' : `the caller's ${exchange.grpc ? 'grpc-timeout' : TIMEOUT_FIELD}`;
  return {
    status: 504,
    code: 'request-timeout',
    detail: `${exchange.service} did not finish within ${whose} ${words(timeoutMs)} ms${waitWords(fullPool)}`,
  };
}

/** The time was over before the request could be sent. */
export function expired(exchange: Exchange, timeoutMs: number, byPolicy: boolean): LocalAnswer {
  const whose = byPolicy ? 'its timeout' : `the caller's ${exchange.grpc ? 'grpc-timeout' : TIMEOUT_FIELD}`;
  return {
    status: 504,
    code: 'deadline-exceeded',
    detail: `the request was not sent to ${exchange.service}: ${whose} of ${words(timeoutMs)} ms was over`,
  };
}

export function tryTimedOut(
  service: string,
  endpoint: string | undefined,
  tryTimeoutMs: number,
  fullPool: Cluster | undefined,
): LocalAnswer {
  return {
    status: 504,
    code: 'try-timeout',
    detail: `${endpoint ?? service} did not answer within try-timeout ${tryTimeoutMs} ms${waitWords(fullPool)}`,
  };
}

export function idledOut(service: string, idleMs: number): LocalAnswer {
  return {
    status: 504,
    code: 'idle-timeout',
    detail: `nothing of the request to ${service} or of its response moved within idle-timeout ${idleMs} ms`,
  };
}

function waitWords(fullPool: Cluster | undefined): string {
  if (fullPool === undefined) return '';
  const { service, limits } = fullPool;
  return `: others had all connections to ${service} (limits: connections ${limits.connections})`;
}

function words(ms: number): string {
  return String(Math.round(ms * 10) / 10);
}

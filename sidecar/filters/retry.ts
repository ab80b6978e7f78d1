import type { RetryCondition, RetryPolicy, TrafficSettings } from '../../protocol/traffic-policy.ts';

/** Methods whose repetition means the same as one request (RFC 9110 section 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

/** Whether a request may run twice: a policy names the methods, or they are idempotent. */
export function mayRunTwice({ methods }: Pick<RetryPolicy, 'methods'>, method: string): boolean {
  return methods === undefined ? isIdempotent(method) : methods.includes(method);
}

/**
 * Whether the body may be asked for once more: by a policy, where the request may run twice or has surely not run;
 * in HTTP/2 also by a server that refuses the stream, which is no reason to fail any request.
 */
export function mayRepeat({ hedge, retries }: TrafficSettings, method: string, isHttp2: boolean): boolean {
  if (hedge !== undefined && mayRunTwice(hedge, method)) return true;
  const { attempts, on } = retries;
  if (attempts === 0 || isHttp2) return attempts > 0;
  // A failed connect may be that of the server's sidecar, which had the body.
  const mayNeed = on.includes('connect') || mayRunTwice(retries, method);
  return mayNeed && on.some((condition) => condition !== 'connect');
}

/** What an attempt failed of. */
export interface AttemptFailure {
  readonly kind: 'connect' | 'refused' | 'not-run' | 'reset' | 'status' | 'try-timeout';
  readonly status: number;
  /** The connection had served before and no byte of an answer came: the server had closed it meanwhile. */
  readonly stale: boolean;
  /** The gRPC status, where that failed. */
  readonly grpc?: RetryCondition;
}

/** Whether the request has surely not run: nothing came of it that another attempt could double. */
export function hasNotRun({ kind }: AttemptFailure): boolean {
  return kind === 'connect' || kind === 'refused' || kind === 'not-run';
}

/**
 * The policy condition that allows another attempt after `failure`, or undefined.
 * `replayable`: all of a body that was sent is still here, so that the request can be made again.
 * Without a policy only what has surely not run is repeated: a failed connect, a refused stream. A stale kept-alive
 * connection is repeated for what may run twice, as RFC 9112 section 9.3.1 allows.
 */
export function retryCondition(
  { retries }: Pick<TrafficSettings, 'retries'>,
  failure: AttemptFailure,
  method: string,
  replayable: boolean,
): string | undefined {
  const condition = namedCondition(retries, failure, method);
  if (condition === undefined || failure.kind === 'connect') return condition;
  return replayable && repeats(retries, failure, method) ? condition : undefined;
}

/** In words, why a failure that the policy names is not retried; undefined: it names it not. */
export function hinderedBy(
  { retries }: Pick<TrafficSettings, 'retries'>,
  failure: AttemptFailure,
  method: string,
): { readonly condition: string; readonly by: 'body' | 'method' } | undefined {
  const condition = namedCondition(retries, failure, method);
  if (condition === undefined) return undefined;
  return { condition, by: repeats(retries, failure, method) ? 'body' : 'method' };
}

/** Status codes of gRPC are named because calls are all of one method: who names one means it. */
function repeats(retries: RetryPolicy, failure: AttemptFailure, method: string): boolean {
  return hasNotRun(failure) || failure.grpc !== undefined || mayRunTwice(retries, method);
}

function namedCondition(retries: RetryPolicy, failure: AttemptFailure, method: string): string | undefined {
  const { on } = retries;
  if (failure.kind === 'connect') return on.includes('connect') ? 'connect' : undefined;
  if (failure.kind === 'not-run' && on.includes('connect')) return "connect of the server's sidecar";
  if (failure.kind === 'refused') return refusedCondition(on);
  if (failure.stale && mayRunTwice(retries, method)) return 'stale connection';
  if (failure.kind === 'reset') return on.includes('reset') ? 'reset' : undefined;
  if (failure.kind === 'try-timeout')
    return on.includes('try-timeout') || on.includes('5xx') || on.includes(504) ? 'try-timeout' : undefined;
  if (failure.grpc !== undefined) return on.includes(failure.grpc) ? String(failure.grpc) : undefined;
  return statusCondition(on, failure.status);
}

/** A stream that was refused has not run, as little as a connection that failed (RFC 9113 section 8.7). */
function refusedCondition(on: readonly RetryCondition[]): string | undefined {
  return on.includes('connect') || on.includes('refused-stream') ? 'refused stream' : undefined;
}

function statusCondition(on: readonly RetryCondition[], status: number): string | undefined {
  if (on.includes(status)) return String(status);
  return status >= 500 && on.includes('5xx') ? '5xx' : undefined;
}

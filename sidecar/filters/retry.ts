import type { RetryCondition, TrafficSettings } from '../../protocol/traffic-policy.ts';

/** Methods whose repetition means the same as one request (RFC 9110 section 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

/** What an attempt failed of. */
export interface AttemptFailure {
  readonly kind: 'connect' | 'refused' | 'reset' | 'status' | 'try-timeout';
  readonly status: number;
  /** The connection had served before and no byte of an answer came: the server had closed it meanwhile. */
  readonly stale: boolean;
  /** The gRPC status, where that failed. */
  readonly grpc?: RetryCondition;
}

/**
 * The policy condition that allows another attempt after `failure`, or undefined.
 * `replayable`: nothing of a body was sent, so the request can be made again.
 * Without a policy only what has surely not run is repeated: a failed connect, a refused stream. A stale kept-alive
 * connection is repeated for idempotent methods, as RFC 9112 section 9.3.1 allows.
 */
export function retryCondition(
  settings: TrafficSettings,
  failure: AttemptFailure,
  method: string,
  replayable: boolean,
): string | undefined {
  const { on } = settings.retries;
  if (failure.kind === 'connect') return on.includes('connect') ? 'connect' : undefined;
  if (!replayable) return undefined;
  if (failure.kind === 'refused') return refusedCondition(on);
  if (failure.stale && isIdempotent(method)) return 'stale connection';
  if (failure.kind === 'reset') return on.includes('reset') ? 'reset' : undefined;
  if (failure.kind === 'try-timeout')
    return on.includes('5xx') || on.includes(504) ? 'try-timeout' : undefined;
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

import type { Reason } from '../../protocol/reasons.ts';

/** gRPC statuses that a server gives when it fails, not when it is asked for the wrong thing (statuscodes.md). */
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const DATA_LOSS = 15;
const GRPC_FAULTS: ReadonlySet<number> = new Set([
  UNKNOWN,
  DEADLINE_EXCEEDED,
  INTERNAL,
  UNAVAILABLE,
  DATA_LOSS,
]);

const NOT_IMPLEMENTED = 501;
const HTTP_VERSION_NOT_SUPPORTED = 505;

/**
 * Whether an answer says that its endpoint failed: 5xx but those that say what the server cannot do at all, and of
 * gRPC (`grpcStatus` not -1) UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS.
 */
export function isFault(status: number, grpcStatus: number): boolean {
  if (grpcStatus >= 0) return GRPC_FAULTS.has(grpcStatus);
  return status >= 500 && status !== NOT_IMPLEMENTED && status !== HTTP_VERSION_NOT_SUPPORTED;
}

/** Results that say nothing of the endpoint, though the attempt failed: who has too much to do is not helped by an ejection. */
const BLAMELESS: ReadonlySet<string> = new Set([
  'pool-full',
  'overloaded',
  'client-closed',
  'upgrade-refused',
  // An opaque stream broke after it was there: what its end means only its application knows.
  'connected',
] satisfies (Reason | 'connected')[]);

/** What an attempt says of its endpoint. */
export type AttemptVerdict = 'success' | 'failure' | 'nothing';

const NINE = 57;

/** By what `Cluster.finished` is told. An answer that is no failure is a success; who got none, as when its caller went away, says nothing. */
export function attemptVerdict(failed: boolean, result: string): AttemptVerdict {
  if (failed) return BLAMELESS.has(result) ? 'nothing' : 'failure';
  return result.charCodeAt(0) <= NINE ? 'success' : 'nothing';
}

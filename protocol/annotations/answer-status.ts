import type { AnswerStatus } from '../steering.ts';

/** Statuses of gRPC (statuscodes.md) by their words, each with the HTTP status that says the same (google.rpc.Code). */
const GRPC: Readonly<Record<string, readonly [grpcStatus: number, status: number]>> = {
  cancelled: [1, 499],
  unknown: [2, 500],
  'invalid-argument': [3, 400],
  'deadline-exceeded': [4, 504],
  'not-found': [5, 404],
  'already-exists': [6, 409],
  'permission-denied': [7, 403],
  'resource-exhausted': [8, 429],
  'failed-precondition': [9, 400],
  aborted: [10, 409],
  'out-of-range': [11, 400],
  unimplemented: [12, 501],
  internal: [13, 500],
  unavailable: [14, 503],
  'data-loss': [15, 500],
  unauthenticated: [16, 401],
};

/** `503`, or a gRPC status like `unavailable`; undefined where it is neither, or an HTTP status below `least`. */
export function parseAnswerStatus(word: string, least: number): AnswerStatus | undefined {
  const known = Object.hasOwn(GRPC, word) ? GRPC[word] : undefined;
  if (known !== undefined) return { status: known[1], grpcStatus: known[0] };
  const status = /^\d{3}$/.test(word) ? Number(word) : 0;
  return status >= least && status <= 599 ? { status } : undefined;
}

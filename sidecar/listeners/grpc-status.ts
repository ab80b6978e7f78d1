import type { Reason } from '../../protocol/reasons.ts';
import type { LocalAnswer } from '../exchange.ts';

/** Codes of the gRPC specification (statuscodes.md). */
export const CANCELLED = 1;
const UNKNOWN = 2;
const DEADLINE_EXCEEDED = 4;
const PERMISSION_DENIED = 7;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/** Where the HTTP status alone would say something else than what happened. */
const BY_REASON: Partial<Record<Reason, number>> = {
  'request-timeout': DEADLINE_EXCEEDED,
  'try-timeout': DEADLINE_EXCEEDED,
  'deadline-exceeded': DEADLINE_EXCEEDED,
  'pool-full': RESOURCE_EXHAUSTED,
  'rate-limited': RESOURCE_EXHAUSTED,
  'no-route': UNIMPLEMENTED,
  'no-service': UNIMPLEMENTED,
  'no-backend': UNAVAILABLE,
  'invalid-backend': UNAVAILABLE,
  'upstream-framing': INTERNAL,
};

/** The gRPC project's mapping of HTTP statuses (http-grpc-status-mapping.md). */
const BY_STATUS: Readonly<Record<number, number>> = {
  400: INTERNAL,
  401: UNAUTHENTICATED,
  403: PERMISSION_DENIED,
  404: UNIMPLEMENTED,
  429: UNAVAILABLE,
  502: UNAVAILABLE,
  503: UNAVAILABLE,
  504: UNAVAILABLE,
};

const HIGHEST = UNAUTHENTICATED;

/** A status as an upstream gave it: what the specification does not know is UNKNOWN. */
export function readGrpcStatus(text: string): number {
  const status = /^\d{1,2}$/.test(text) ? Number(text) : UNKNOWN;
  return status <= HIGHEST ? status : UNKNOWN;
}

/** The gRPC status that says the same as a response made by Tulle. */
export function grpcStatusOf(answer: LocalAnswer): number {
  return answer.grpcStatus ?? BY_REASON[answer.code] ?? BY_STATUS[answer.status] ?? UNKNOWN;
}

/** The message of a gRPC status, percent-encoded as the specification wants it (PROTOCOL-HTTP2.md, Status-Message). */
export function grpcMessage(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/gu, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}

/** Names of the statuses that a policy may retry on. */
const NAMES: Readonly<
  Record<number, 'cancelled' | 'deadline-exceeded' | 'resource-exhausted' | 'internal' | 'unavailable'>
> = {
  [CANCELLED]: 'cancelled',
  [DEADLINE_EXCEEDED]: 'deadline-exceeded',
  [RESOURCE_EXHAUSTED]: 'resource-exhausted',
  [INTERNAL]: 'internal',
  [UNAVAILABLE]: 'unavailable',
};

/** The retry condition that a gRPC status is, or undefined. */
export function grpcCondition(status: number): (typeof NAMES)[number] | undefined {
  return NAMES[status];
}

import type { Exchange } from '../exchange.ts';
import type { AttemptFailure } from '../filters/retry.ts';
import type { MessageHead } from '../http/message-head.ts';
import { grpcCondition, readGrpcStatus } from './grpc-status.ts';

/** On a response, from callee to caller: why it took more than one attempt. */
export const RETRIED_FIELD = 'tulle-retried';

/**
 * What the head of a response says went wrong, or undefined. Of gRPC, only a response without messages can still be
 * replaced; its status is told to the exchange. A proxy on the way may answer a call by HTTP alone.
 */
export function failureOf(exchange: Exchange, head: MessageHead): AttemptFailure | undefined {
  const { status } = head;
  const grpcStatus = exchange.grpc ? head.get('grpc-status') : undefined;
  if (grpcStatus === undefined) return status < 400 ? undefined : { kind: 'status', status, stale: false };
  exchange.grpcStatus = readGrpcStatus(grpcStatus);
  if (grpcStatus === '0') return undefined;
  const grpc = grpcCondition(exchange.grpcStatus);
  return { kind: 'status', status, stale: false, ...(grpc && { grpc }) };
}

/** As an attempt's result: the gRPC status by its name, or the status. */
export function resultOf({ grpc, status }: AttemptFailure): string {
  return String(grpc ?? status);
}

/** Whether a better answer may come from elsewhere; who is told 404 by one endpoint is told so by the next. */
export function isServerFailure(
  { grpcStatus }: Exchange,
  failure: AttemptFailure | undefined,
): failure is AttemptFailure {
  return failure !== undefined && (grpcStatus > 0 || failure.status >= 500);
}

/** Header lines of a response that a retry or a hedge brought: it says so, and by what name to ask for more. */
export function retriedFields(exchange: Exchange, head: MessageHead): string {
  const why = exchange.policies.filter(({ decision }) => decision === 'retried' || decision === 'won').at(-1);
  if (why === undefined) return '';
  const id = head.find('x-request-id', 0) < 0 ? `x-request-id: ${exchange.id}\r\n` : '';
  return `${RETRIED_FIELD}: ${why.detail}\r\n${id}`;
}

/** Whether a failed response says that its request had too little time. */
export function saysTooLate({ grpc, grpcStatus }: Exchange, toldReason: string | undefined): boolean {
  if (grpc) return grpcCondition(grpcStatus) === 'deadline-exceeded';
  return toldReason === 'request-timeout' || toldReason === 'deadline-exceeded';
}

/** What tells most of a response that was a fault: by what code the Tulle that made it explained it, or its gRPC status; undefined: its HTTP status. */
export function faultCause({ grpcStatus }: Exchange, toldReason: string | undefined): string | undefined {
  if (toldReason !== undefined || grpcStatus <= 0) return toldReason;
  return grpcCondition(grpcStatus) ?? `grpc-status ${grpcStatus}`;
}

import type { MessageHead } from '../http/message-head.ts';

/** Nobody is passed over for longer by one answer. */
const LONGEST_MS = 60_000;
/** gRPC: RESOURCE_EXHAUSTED and UNAVAILABLE. */
const GRPC_BUSY = new Set(['8', '14']);

/**
 * How long, in ms, an endpoint asks to be spared: it answers 429 or 503 (gRPC: RESOURCE_EXHAUSTED or UNAVAILABLE)
 * with `Retry-After` (RFC 9110 10.2.3; gRPC also `grpc-retry-pushback-ms`). 0: it does not ask.
 */
export function retryLaterMs(head: MessageHead, nowMs = Date.now()): number {
  const grpc = head.get('grpc-status');
  const busy = grpc === undefined ? head.status === 429 || head.status === 503 : GRPC_BUSY.has(grpc);
  if (!busy) return 0;
  const pushback = grpc === undefined ? undefined : head.get('grpc-retry-pushback-ms');
  if (pushback !== undefined && /^\d{1,9}$/.test(pushback)) return Math.min(LONGEST_MS, Number(pushback));
  const after = head.get('retry-after');
  if (after === undefined) return 0;
  const ms = /^\d{1,9}$/.test(after) ? Number(after) * 1000 : Date.parse(after) - nowMs;
  return ms > 0 ? Math.min(LONGEST_MS, ms) : 0;
}

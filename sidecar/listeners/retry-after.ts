import type { MessageHead } from '../http/message-head.ts';

/** Whoever asks for a longer wait is not asked again: the caller is told instead. */
export const LONGEST_PAUSE_MS = 10_000;

/** The server wants no other attempt. */
export const NEVER = Number.POSITIVE_INFINITY;

/**
 * How long the server of a failing response asks to wait before another attempt, in ms: Retry-After of a 429 or 503
 * (RFC 9110 section 10.2.3), of gRPC `grpc-retry-pushback-ms` (A6). 0 when it asks for nothing; NEVER for no attempt
 * at all, which gRPC says by a number below 0 or by what is none.
 */
export function askedPauseMs(head: MessageHead, grpc: boolean, nowMs = Date.now()): number {
  if (grpc) return pushbackMs(head.get('grpc-retry-pushback-ms'));
  if (head.status !== 429 && head.status !== 503) return 0;
  const value = head.get('retry-after');
  if (value === undefined) return 0;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  // Dates of HTTP only: other things are dates to JavaScript that are none to anybody else.
  const at = / GMT$/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs);
}

function pushbackMs(value: string | undefined): number {
  if (value === undefined) return 0;
  return /^\d{1,9}$/.test(value) ? Number(value) : NEVER;
}

import { REASONS } from '../../protocol/reasons.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import { grpcMessage, grpcStatusOf } from './grpc-status.ts';

/** A response that Tulle makes itself. */
export interface LocalResponse {
  readonly status: number;
  /** Whole header lines, each with its CRLF. */
  readonly fields: string;
  /** ASCII. */
  readonly body: string;
}

/**
 * RFC 9457 problem details and `tulle-reason`, or for gRPC the status with the same words. Strangers at the
 * edge (`tellsAll` false) get the code but not the words.
 */
export function localResponse(exchange: Exchange, answer: LocalAnswer, tellsAll: boolean): LocalResponse {
  const told =
    `tulle-reason: ${answer.code}\r\n` +
    (exchange.id === '' ? '' : `x-request-id: ${exchange.id}\r\n`) +
    (answer.fields ?? '');
  if (exchange.grpc) return grpcResponse(answer, told, tellsAll);
  const problem = {
    type: `https://tulle.dev/reasons#${answer.code}`,
    title: REASONS[answer.code],
    status: answer.status,
    code: answer.code,
    ...(tellsAll && { detail: answer.detail }),
    ...(exchange.id !== '' && { requestId: exchange.id }),
  };
  return {
    status: answer.status,
    fields: `content-type: application/problem+json\r\n${told}`,
    body: toAscii(`${JSON.stringify(problem)}\n`),
  };
}

/** A response without messages: its head holds the status (PROTOCOL-HTTP2.md, Trailers-Only). */
function grpcResponse(answer: LocalAnswer, told: string, tellsAll: boolean): LocalResponse {
  const words = grpcMessage(tellsAll ? answer.detail : REASONS[answer.code]);
  const status = `grpc-status: ${grpcStatusOf(answer)}\r\ngrpc-message: ${words}\r\n`;
  return { status: 200, fields: `content-type: application/grpc\r\n${status}${told}`, body: '' };
}

/** Escapes all beyond ASCII: the text is written as latin1, and its length in bytes is its length. */
function toAscii(json: string): string {
  return json.replace(
    /[^\n\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

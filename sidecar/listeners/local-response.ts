import { REASONS } from '../../protocol/reasons.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import { Field } from '../http/field.ts';
import { CANCELLED, grpcMessage, grpcStatusOf } from './grpc-status.ts';

/** A response that Tulle makes itself. */
export interface LocalResponse {
  readonly status: number;
  /** Whole header lines, each with its CRLF. */
  readonly fields: string;
  /** One character a byte. */
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
    exchange.responseFields +
    (answer.fields ?? '');
  if (exchange.grpc) return grpcResponse(answer, told, tellsAll);
  if (answer.body !== undefined) return ownBody(answer.status, answer.body, told);
  if (answer.bare) return { status: answer.status, fields: told, body: '' };
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

/** A body that a policy gives. */
function ownBody(
  status: number,
  { type, bytes }: NonNullable<LocalAnswer['body']>,
  told: string,
): LocalResponse {
  return { status, fields: bytes === '' ? told : `content-type: ${type}\r\n${told}`, body: bytes };
}

/** A response without messages: its head holds the status (PROTOCOL-HTTP2.md, Trailers-Only). */
function grpcResponse(answer: LocalAnswer, told: string, tellsAll: boolean): LocalResponse {
  const words = grpcMessage(answer.body?.text || (tellsAll ? answer.detail : REASONS[answer.code]));
  const status = `grpc-status: ${grpcStatusOf(answer)}\r\ngrpc-message: ${words}\r\n`;
  return { status: 200, fields: `content-type: application/grpc\r\n${status}${told}`, body: '' };
}

/** The same after messages. */
export function grpcTrailers(answer: LocalAnswer, tellsAll: boolean): Field[] {
  return [
    new Field('grpc-status', String(grpcStatusOf(answer))),
    new Field('grpc-message', grpcMessage(tellsAll ? answer.detail : answer.code)),
    new Field('tulle-reason', answer.code),
  ];
}

/** Escapes all beyond ASCII: the text is written as latin1, and its length in bytes is its length. */
function toAscii(json: string): string {
  return json.replace(
    /[^\n\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A client that went away gets no response: what is told of it. */
export function noteClientClosed(exchange: Exchange): void {
  exchange.reason = 'client-closed';
  exchange.detail = 'the client went away before the response was complete';
  if (exchange.status === 0) exchange.status = 499;
  if (exchange.grpc) exchange.grpcStatus = CANCELLED;
}

import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { TestContext } from 'node:test';
import { startHttp2 } from '../http2/server.ts';

/** A message of no bytes, with its prefix (length and no compression). */
const EMPTY_MESSAGE = Buffer.alloc(5);
const HEAD = { ':status': 200, 'content-type': 'application/grpc' };

/** A gRPC server that shows the headers of its calls as they came; `onCall` answers. Resolves with its HOST:PORT. */
export async function rawGrpcServer(
  context: TestContext,
  onCall: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
): Promise<string> {
  const { address } = await startHttp2(context, (stream, headers) => {
    stream.resume();
    onCall(stream, headers);
  });
  return address;
}

/** Answers with one empty message and OK. */
export function answerOk(stream: ServerHttp2Stream, more: OutgoingHttpHeaders = {}): void {
  answerMessage(stream, { 'grpc-status': '0' }, more);
}

/** Answers with one empty message and then these trailers. */
export function answerMessage(
  stream: ServerHttp2Stream,
  trailers: OutgoingHttpHeaders,
  more: OutgoingHttpHeaders = {},
): void {
  stream.respond({ ...HEAD, ...more }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.end(EMPTY_MESSAGE);
}

/** Answers with one message, its prefix included, and OK. */
export function answerWith(stream: ServerHttp2Stream, message: Buffer): void {
  stream.respond(HEAD, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(message);
}

/** Answers with a status alone: one head that is also the trailers. */
export function answerStatus(stream: ServerHttp2Stream, code: number, message: string): void {
  stream.respond({ ...HEAD, 'grpc-status': String(code), 'grpc-message': message }, { endStream: true });
}

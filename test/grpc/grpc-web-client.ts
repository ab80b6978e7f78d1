import type { TestContext } from 'node:test';
import type { MethodDefinition } from '@grpc/grpc-js';
import { request } from 'undici';
import { ask, openSession } from '../http2/client.ts';

/** Marks the frame that holds the trailers (PROTOCOL-WEB.md). */
const TRAILERS = 0x80;
const PREFIX_BYTES = 5;

type Version = 'HTTP/1.1' | 'HTTP/2';
export type Form = 'binary' | 'text';

/** All that came for one call, taken apart. */
export interface WebAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly messages: readonly Buffer[];
  /** Lines of the last frame; undefined without one. */
  readonly trailers: Readonly<Record<string, string>> | undefined;
}

export interface WebCall {
  readonly version: Version;
  readonly form: Form;
  readonly path: string;
  readonly body: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly host?: string;
}

/** A message with its prefix: no compression, its length. */
export function messageFrame(message: Buffer): Buffer {
  const frame = Buffer.alloc(PREFIX_BYTES + message.length);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, PREFIX_BYTES);
  return frame;
}

export function contentType(form: Form): string {
  return `application/grpc-web${form === 'text' ? '-text' : ''}+proto`;
}

/** A whole answer that is not made of frames. */
export class FrameError extends Error {}

/** Takes the whole body of an answer apart. Throws a FrameError on anything that is no frame, or after the trailers. */
export function readFrames(body: Buffer): Pick<WebAnswer, 'messages' | 'trailers'> {
  const messages: Buffer[] = [];
  let trailers: Record<string, string> | undefined;
  for (let at = 0; at < body.length; ) {
    if (trailers !== undefined) throw new FrameError('something follows the trailers');
    const end = at + PREFIX_BYTES + body.readUInt32BE(at + 1);
    const payload = body.subarray(at + PREFIX_BYTES, end);
    if (end > body.length) throw new FrameError('the last frame is cut short');
    if (body[at] === TRAILERS) trailers = linesOf(payload.toString('latin1'));
    else if (body[at] === 0) messages.push(payload);
    else throw new FrameError(`no frame begins with ${body[at]}`);
    at = end;
  }
  return { messages, trailers };
}

function linesOf(text: string): Record<string, string> {
  const lines = text.split('\r\n').filter((line) => line !== '');
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
}

/** Base64 that may come in several pieces, each with its padding. */
export function fromText(body: Buffer): Buffer {
  const pieces = body.toString('latin1').match(/[^=]{1,4}={0,2}/g) ?? [];
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64')));
}

/** Makes a call as a browser's library does. Rejects if the answer is cut short. */
export async function webCall(context: TestContext, gateway: string, call: WebCall): Promise<WebAnswer> {
  const { form, version, path } = call;
  const body = form === 'text' ? Buffer.from(call.body.toString('base64'), 'latin1') : call.body;
  const host = call.host ?? 'app.shop';
  const headers = { 'content-type': contentType(form), 'x-grpc-web': '1', ...call.headers };
  const answer =
    version === 'HTTP/2'
      ? await ask(
          await openSession(context, gateway),
          { ':method': 'POST', ':path': path, ':authority': host, ...headers },
          body,
        )
      : await askHttp1(`http://${gateway}${path}`, { host, ...headers }, body);
  const type = String(answer.headers['content-type'] ?? '');
  const isText = type.startsWith('application/grpc-web-text');
  const frames = type.startsWith('application/grpc-web')
    ? readFrames(isText ? fromText(answer.body) : answer.body)
    : { messages: [answer.body], trailers: undefined };
  return { status: answer.status, headers: answer.headers, ...frames };
}

async function askHttp1(url: string, headers: Record<string, string>, body: Buffer) {
  const answer = await request(url, { method: 'POST', headers, body });
  const bytes = Buffer.from(await answer.body.arrayBuffer());
  return { status: answer.statusCode, headers: answer.headers, body: bytes };
}

/** The body of a call of `method` with one request. */
export function requestOf<Request, Response>(
  method: MethodDefinition<Request, Response>,
  value: Request,
): Buffer {
  return messageFrame(method.requestSerialize(value));
}

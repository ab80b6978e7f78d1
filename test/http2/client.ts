import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { TestContext } from 'node:test';

/** All that a client got for one request. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
  /** Heads of 1xx that came before. */
  readonly informational: IncomingHttpHeaders[];
}

/** A connection of HTTP/2 in plain text (prior knowledge); gone with the test. Rejects if the peer does not speak it. */
export async function openSession(
  context: TestContext,
  address: string,
  options: ClientSessionOptions = {},
): Promise<ClientHttp2Session> {
  const session = connect(`http://${address}`, options);
  context.after(() => session.destroy());
  await once(session, 'remoteSettings');
  session.on('error', () => {}); // told by the streams
  return session;
}

/** Begins a request to the service `app.shop`. Without a body, the head ends it. */
export function begin(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  { endStream = false, waitForTrailers = false } = {},
): ClientHttp2Stream {
  return session.request(
    { ':path': '/', ':authority': 'app.shop', ...headers },
    { endStream, waitForTrailers },
  );
}

/** Sends a request to the service `app.shop` and takes its whole answer. Rejects if it is cut short. */
export function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  body?: string | Buffer,
  trailers?: OutgoingHttpHeaders,
): Promise<Answer> {
  const stream = begin(session, headers, {
    endStream: body === undefined,
    waitForTrailers: trailers !== undefined,
  });
  if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  if (body !== undefined) stream.end(body);
  return answerOf(stream);
}

/** The whole answer of a stream. Rejects if it is cut short. */
export function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const informational: IncomingHttpHeaders[] = [];
    const chunks: Buffer[] = [];
    let headers: IncomingHttpHeaders & { ':status'?: number } = {};
    let trailers: IncomingHttpHeaders = {};
    let ended = false;
    stream.on('headers', (head: IncomingHttpHeaders) => informational.push(head));
    stream.on('response', (head: IncomingHttpHeaders) => {
      headers = head;
    });
    stream.on('trailers', (head: IncomingHttpHeaders) => {
      trailers = head;
    });
    stream.on('data', (bytes: Buffer) => chunks.push(bytes));
    stream.on('end', () => {
      ended = true;
    });
    stream.on('error', reject);
    stream.on('close', () => {
      const { ':status': status } = headers;
      if (!ended || status === undefined || stream.rstCode !== 0)
        reject(new Error(`the stream was cut short with code ${stream.rstCode}`));
      else resolve({ status, headers, trailers, informational, body: Buffer.concat(chunks) });
    });
  });
}

import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import type { Answer, Question } from './http1.ts';

/** What came back by HTTP/2. */
interface Http2Answer extends Answer {
  trailers: IncomingHttpHeaders;
}

/** One request by HTTP/2 with prior knowledge (RFC 9113 section 3.3), on a connection of its own. Rejects after 2 s. */
function exchange(port: number, headers: OutgoingHttpHeaders, body?: Buffer): Promise<Http2Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Http2Answer>();
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', reject);
  session.on('close', () => reject(new Error('the connection was closed without an answer')));
  session.setTimeout(2000, () => session.destroy(new Error('no answer in 2 s')));
  const stream = session.request(headers, { endStream: body === undefined });
  const answer: Http2Answer = { status: 0, bytes: 0, trailers: {} };
  stream.on('response', (head) => {
    answer.status = head[':status'] ?? 0;
    if (head['grpc-status'] !== undefined) answer.trailers = head; // An answer of trailers only.
  });
  stream.on('trailers', (trailers) => {
    answer.trailers = trailers;
  });
  stream.on('data', (chunk: Buffer) => {
    answer.bytes += chunk.length;
  });
  stream.on('error', reject);
  stream.on('end', () => resolve(answer));
  if (body !== undefined) stream.end(body);
  return promise.finally(() => session.destroy());
}

/** Asks by HTTP/2 and reads the whole answer. Rejects after 2 s, or when nobody listens. */
export function askHttp2({ port, host, path }: Question): Promise<Answer> {
  return exchange(port, { ':method': 'GET', ':path': path, ':authority': host });
}

/** Makes one unary call of an empty message to the gRPC application. Rejects unless its status is OK. */
export async function callGrpc(port: number, host: string): Promise<void> {
  const { status, trailers } = await exchange(
    port,
    {
      ':method': 'POST',
      ':path': '/bench.Echo/Unary',
      ':authority': host,
      'content-type': 'application/grpc',
      te: 'trailers',
    },
    Buffer.alloc(5), // Not compressed, no bytes: the length-prefixed message of gRPC over HTTP/2.
  );
  const code = trailers['grpc-status'];
  if (status !== 200 || code !== '0') {
    throw new Error(`status ${status}, grpc-status ${code}: ${trailers['grpc-message'] ?? ''}`);
  }
}

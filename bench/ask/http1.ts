import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import { request as requestByTls } from 'node:https';
import type { ClientTls } from './tls.ts';

/** What came back. */
export interface Answer {
  status: number;
  bytes: number;
}

/** One request to a port of the loopback address. */
export interface Question {
  port: number;
  host: string;
  path: string;
  /** Length of the request's body; 0 sends a GET. */
  bodyBytes?: number;
  /** By mTLS, or in plain text. */
  tls?: ClientTls;
}

/** Sends one request on a connection of its own, and reads the whole answer. Rejects after 2 s, or when nobody listens. */
export function askHttp1({ port, host, path, bodyBytes = 0, tls }: Question): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const method = bodyBytes > 0 ? 'POST' : 'GET';
  const options: RequestOptions = { host: '127.0.0.1', port, path, method, agent: false, headers: { host } };
  const take = (response: IncomingMessage) => {
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    response.on('end', () => resolve({ status: response.statusCode ?? 0, bytes }));
    response.on('error', reject);
  };
  const outgoing = tls === undefined ? request(options, take) : requestByTls({ ...options, ...tls }, take);
  outgoing.setTimeout(2000, () => outgoing.destroy(new Error('no answer in 2 s')));
  outgoing.on('error', reject);
  outgoing.end(bodyBytes > 0 ? Buffer.alloc(bodyBytes, 'x') : undefined);
  return promise;
}

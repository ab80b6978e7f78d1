import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TestContext } from 'node:test';
import { Agent, request } from 'undici';
import { startHttp1 } from '../http2/server.ts';

/** An HTTP/1.1 server that counts its requests and keeps their bodies. */
export interface CountingServer {
  readonly address: string;
  readonly bodies: string[];
  readonly headers: NodeJS.Dict<string | string[]>[];
  /** When each request came, in ms of performance.now(). */
  readonly times: number[];
}

/** `answer` is called when the body is whole; without it, nothing is ever answered. */
export async function countingServer(
  context: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void = () => {},
): Promise<CountingServer> {
  const bodies: string[] = [];
  const headers: NodeJS.Dict<string | string[]>[] = [];
  const times: number[] = [];
  const { address } = await startHttp1(context, (incoming, response) => {
    times.push(performance.now());
    headers.push(incoming.headers);
    const count = times.length;
    let body = '';
    incoming.on('data', (bytes: Buffer) => {
      body += bytes.toString('latin1');
    });
    incoming.on('error', () => {});
    incoming.on('end', () => {
      bodies.push(body);
      answer(incoming, response, count);
    });
  });
  return { address, bodies, headers, times };
}

/** Answers every request with `status` and these headers. */
export function answers(status: number, headers: Record<string, string> = {}) {
  return (_incoming: IncomingMessage, response: ServerResponse): void => {
    response.writeHead(status, headers).end(`status ${status}`);
  };
}

/** What a caller got. */
export interface Got {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** Calls of one test, on connections of their own. */
export function caller(
  context: TestContext,
  address: string,
): (
  id: string | undefined,
  options?: { method?: string; body?: string; headers?: Record<string, string> },
) => Promise<Got> {
  const dispatcher = new Agent({ connections: 64 });
  context.after(() => dispatcher.destroy());
  return async (id, { method = 'GET', body, headers: more = {} } = {}) => {
    const response = await request(`http://${address}/`, {
      dispatcher,
      method: method as 'GET',
      headers: { host: 'app', ...(id !== undefined && { 'x-request-id': id }), ...more },
      ...(body !== undefined && { body }),
    });
    return { status: response.statusCode, headers: response.headers, body: await response.body.text() };
  };
}

import { connect, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { type LeapingClock, leapingClock } from '../../test/fixture/leaping-clock.ts';
import { until } from '../../test/fixture/wait.ts';
import type { RequestHandler } from '../http/downstream.ts';
import { Field } from '../http/field.ts';
import { DEFAULT_LIMITS, type Limits } from '../http/limits.ts';
import type { MessageHead } from '../http/message-head.ts';
import { Transport } from '../transport/transport.ts';
import type { Protection } from './flood-guard.ts';
import { PREFACE, SETTINGS } from './frame.ts';
import { Http2Head } from './http2-head.ts';
import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from './http2-limits.ts';
import { frame, RawPeer } from './raw-peer.fixture.ts';
import { Http2ServerConnection } from './server-connection.ts';
import type { Http2ServerStream } from './server-stream.ts';

/** A request at the server, and what was told of it. */
export interface ServedRequest {
  readonly stream: Http2ServerStream;
  readonly events: string[];
  head: MessageHead | undefined;
  body: Buffer;
  trailers: readonly Field[] | undefined;
}

export interface Served {
  readonly port: number;
  readonly connections: Http2ServerConnection[];
  readonly requests: ServedRequest[];
  readonly protections: Protection[];
  readonly clock: LeapingClock;
  /** A client that has sent its preface and SETTINGS, and the bytes given. */
  raw(): Promise<RawPeer>;
  /** A client that has sent nothing. */
  silent(): Promise<RawPeer>;
}

export interface ServedOptions {
  readonly limits?: Partial<Limits>;
  readonly http2?: Partial<Http2Limits>;
  /** Called after each event of a request. */
  readonly react?: (event: string, request: ServedRequest) => void;
}

/** A response head of HTTP/2. */
export function responseHead(status: number, fields: readonly (readonly [string, string])[] = []): Http2Head {
  const head = new Http2Head(fields.map(([name, value]) => new Field(name, value)));
  head.status = status;
  return head;
}

/** Answers with `body` as soon as the request is whole. */
export function answering(body: string | Buffer): (event: string, request: ServedRequest) => void {
  const bytes = Buffer.from(body);
  return (event, { stream }) => {
    if (event !== 'end') return;
    stream.respond(responseHead(200, [['x-answer', 'yes']]), '');
    stream.responseData(undefined, bytes, 0, bytes.length);
    stream.responseEnd(undefined);
  };
}

/** Server connections on a port, until the test is over. */
export async function served(context: TestContext, options: ServedOptions = {}): Promise<Served> {
  const clock = leapingClock(context);
  const connections: Http2ServerConnection[] = [];
  const requests: ServedRequest[] = [];
  const protections: Protection[] = [];
  const accept = (stream: Http2ServerStream): RequestHandler => {
    const request: ServedRequest = {
      stream,
      events: [],
      head: undefined,
      body: Buffer.alloc(0),
      trailers: undefined,
    };
    requests.push(request);
    return handlerOf(request, options.react);
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    const connection = new Http2ServerConnection({
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      http2: { ...DEFAULT_HTTP2_LIMITS, ...options.http2 },
      wheel: clock.wheel,
      accept,
      onProtected: (what) => void protections.push(what),
    });
    connections.push(connection);
    connection.open(Transport.adopt(connection, socket));
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const bound = server.address();
      resolve(bound !== null && typeof bound === 'object' ? bound.port : 0);
    });
  });
  const peers: RawPeer[] = [];
  context.after(() => {
    for (const peer of peers) peer.close();
    for (const connection of connections) connection.transport.destroy();
    server.close();
  });
  const silent = async (): Promise<RawPeer> => {
    const before = connections.length;
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const peer = new RawPeer(socket);
    peers.push(peer);
    await until('the connection', () => connections.length > before);
    return peer;
  };
  const raw = async (): Promise<RawPeer> => {
    const peer = await silent();
    peer.send(PREFACE, frame(SETTINGS, 0, 0));
    return peer;
  };
  return { port, connections, requests, protections, clock, raw, silent };
}

function handlerOf(request: ServedRequest, react: ServedOptions['react']): RequestHandler {
  const tell = (event: string): void => {
    request.events.push(event);
    react?.(event, request);
  };
  return {
    onRequest(head) {
      request.head = head;
      tell('request');
    },
    onRequestData(bytes, start, end) {
      request.body = Buffer.concat([request.body, bytes.subarray(start, end)]);
      tell('data');
    },
    onRequestEnd(trailers) {
      request.trailers = trailers;
      tell('end');
    },
    onRequestFlush: () => tell('flush'),
    onRefused(problem) {
      tell(`refused ${problem.status} ${problem.code}`);
      request.stream.respondLocally(problem.status, `tulle-reason: ${problem.code}\r\n`, problem.detail);
    },
    onRequestAborted: (problem) => tell(`aborted: ${problem.detail}`),
    onResponseWritable: () => tell('writable'),
    onTunnelEnd: () => tell('tunnel end'),
    onDisconnected: () => tell('disconnected'),
  };
}

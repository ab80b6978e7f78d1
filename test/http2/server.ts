import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  constants,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** One request as the application saw it. */
interface Seen {
  /** '1.1' or '2.0'. */
  readonly version: string;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values of HTTP/1.1 as they came, one after the other; empty for HTTP/2. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly trailers: NodeJS.Dict<string | string[]>;
}

export interface Application {
  /** HOST:PORT. */
  readonly address: string;
  readonly seen: Seen[];
  readonly sessions: ServerHttp2Session[];
}

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** An application of HTTP/2 in plain text (prior knowledge); `onStream` answers. Gone with the test. */
export async function startHttp2(
  context: TestContext,
  onStream: OnStream,
  settings: Settings = {},
): Promise<Application> {
  const server = createServer({ settings, maxSessionMemory: 1000 });
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => {
    sessions.push(session);
    session.on('error', () => {}); // told by the streams
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {}); // told by its close
    onStream(stream, headers);
  });
  const address = await listen(context, server);
  context.after(() => {
    for (const session of sessions) session.destroy();
  });
  return { address, seen: [], sessions };
}

/** Takes a stream's whole request, keeps it in `seen` and answers it; a trailer comes back as `echo-NAME`. */
function echoStream(seen: Seen[], stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const chunks: Buffer[] = [];
  let trailers: NodeJS.Dict<string | string[]> = {};
  stream.on('trailers', (received: IncomingHttpHeaders) => {
    trailers = received;
  });
  stream.on('data', (bytes: Buffer) => chunks.push(bytes));
  stream.on('end', () => {
    const body = Buffer.concat(chunks);
    const { ':method': method = '', ':path': path = '' } = headers;
    seen.push({ version: '2.0', method, path, headers, rawHeaders: [], body, trailers });
    const answer: OutgoingHttpHeaders = { ':status': 200, 'x-served': 'h2', 'content-type': 'text/plain' };
    const echoed = Object.entries(trailers).map(([name, value]) => [`echo-${name}`, value]);
    if (echoed.length === 0) {
      stream.respond({ ...answer, 'content-length': body.length });
      stream.end(body);
      return;
    }
    stream.respond(answer, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(Object.fromEntries(echoed)));
    stream.end(body);
  });
}

/** An application of HTTP/2 that answers every request with its body. */
export async function echoHttp2(context: TestContext, settings: Settings = {}): Promise<Application> {
  const seen: Seen[] = [];
  const application = await startHttp2(
    context,
    (stream, headers) => echoStream(seen, stream, headers),
    settings,
  );
  return { ...application, seen };
}

/** An application of HTTP/1.1; `onRequest` answers. Gone with the test. */
export async function startHttp1(
  context: TestContext,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Application> {
  const server = createHttp1Server(onRequest);
  const address = await listen(context, server);
  context.after(() => server.closeAllConnections());
  return { address, seen: [], sessions: [] };
}

/** An application of HTTP/1.1 that answers every request with its body. */
export async function echoHttp1(context: TestContext): Promise<Application> {
  const seen: Seen[] = [];
  const application = await startHttp1(context, (request, response) => echoRequest(seen, request, response));
  return { ...application, seen };
}

function echoRequest(seen: Seen[], request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('error', () => {}); // told by the connection
  request.on('data', (bytes: Buffer) => chunks.push(bytes));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    const { httpVersion: version, method = '', url: path = '', headers, rawHeaders, trailers } = request;
    seen.push({ version, method, path, headers, rawHeaders, body, trailers });
    const echoed = Object.entries(trailers).map(([name, value]) => [`echo-${name}`, value] as const);
    response.setHeader('x-served', 'h1');
    if (echoed.length === 0) {
      response.end(body);
      return;
    }
    response.setHeader('trailer', echoed.map(([name]) => name).join(', '));
    response.write(body);
    response.addTrailers(echoed.map(([name, value]) => [name, value ?? ''] as [string, string]));
    response.end();
  });
}

/** An application that speaks the version that it is spoken to in, and answers with the body. */
export async function echoEither(context: TestContext): Promise<Application> {
  const seen: Seen[] = [];
  const address = await startEither(
    context,
    (request, response) => echoRequest(seen, request, response),
    (stream, headers) => echoStream(seen, stream, headers),
  );
  return { address, seen, sessions: [] };
}

/** HOST:PORT of an application that speaks the version that it is spoken to in. Gone with the test. */
export async function startEither(
  context: TestContext,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
  onStream: OnStream,
): Promise<string> {
  const http1 = createHttp1Server(onRequest);
  const http2 = createServer();
  http2.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {});
    onStream(stream, headers);
  });
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('readable', () => {
      const first: Buffer | null = socket.read();
      if (first === null) return;
      socket.unshift(first);
      (first.toString('latin1', 0, 3) === 'PRI' ? http2 : http1).emit('connection', socket);
    });
  });
  const address = await listen(context, server);
  context.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  return address;
}

async function listen(
  context: TestContext,
  server: Pick<Server, 'listen' | 'close' | 'address'>,
): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const bound = server.address();
  return `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
}

/** Refuses a stream before any work on it: REFUSED_STREAM (RFC 9113 section 8.7). */
export function refuseStream(stream: ServerHttp2Stream): void {
  stream.close(constants.NGHTTP2_REFUSED_STREAM);
}

/** Cuts a stream short with INTERNAL_ERROR; `close` would let what was written end as if it were whole. */
export function cutStream(stream: ServerHttp2Stream): void {
  stream.destroy(new Error('cut short'));
}

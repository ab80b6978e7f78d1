import { appendFileSync } from 'node:fs';
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { createInterface } from 'node:readline';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { nowMs } from './evidence.ts';
import { bodyOf, GREETER, type Greeting, onwardId, streamLine } from './messages.ts';

/** What an application of the storm is told at its start. */
export interface AppConfig {
  readonly service: string;
  readonly instance: string;
  readonly speaks: 'http' | 'grpc' | 'tcp';
  /** 0: the kernel chooses. */
  readonly port: number;
  readonly calls?: string;
  /** The own sidecar, where it is known already. */
  readonly outbound?: string;
  /** Where arrivals are written, line by line, so that a kill -9 loses none. */
  readonly ledger: string;
}

const STREAM_LINES = 8;
const STREAM_PAUSE_MS = 20;
const config = JSON.parse(process.argv[2] ?? '{}') as AppConfig;
const agent = new Agent({ keepAlive: true });
let { outbound } = config;

process.on('disconnect', () => process.exit(0));
process.on('message', (message: { outbound: string }) => {
  outbound = message.outbound;
});

function arrived(id: string, client: string, method: string): void {
  const { service, instance } = config;
  appendFileSync(
    config.ledger,
    `${JSON.stringify({ atMs: nowMs(), id, client, method, service, instance })}\n`,
  );
}

function ready(port: number): void {
  console.log(JSON.stringify({ event: 'ready', address: `127.0.0.1:${port}` }));
}

function serveHttp(): void {
  const server = createServer((incoming, response) => {
    response.on('error', () => {});
    if (incoming.url === '/healthz') {
      response.end('well');
      return;
    }
    let body = '';
    incoming.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    incoming.on('end', () => answer(incoming, body, response));
  });
  // Longer than a sidecar keeps a connection: who closes first must not be the one that may be asked just then.
  server.keepAliveTimeout = 120_000;
  server.listen(config.port, '127.0.0.1', () => {
    const bound = server.address();
    ready(bound !== null && typeof bound === 'object' ? bound.port : 0);
  });
}

function answer(incoming: IncomingMessage, body: string, response: ServerResponse): void {
  const id = String(incoming.headers['x-chaos-id'] ?? '');
  const client = String(incoming.headers['x-chaos-client'] ?? '');
  arrived(id, client, incoming.method ?? '');
  response.setHeader('x-chaos-id', id);
  // What a gateway calls the request, for who asks it why.
  response.setHeader('x-request-id', String(incoming.headers['x-request-id'] ?? ''));
  if (body !== '' && body !== bodyOf(id)) {
    response.writeHead(409).end(`the body is not of ${id}: ${body.slice(0, 80)}`);
  } else if (incoming.url === '/stream') {
    stream(id, response);
  } else if (config.calls !== undefined) {
    callOn(config.calls, id, response);
  } else {
    response.end(bodyOf(id));
  }
}

function stream(id: string, response: ServerResponse): void {
  let line = 0;
  const timer = setInterval(() => {
    response.write(streamLine(id, line++));
    if (line < STREAM_LINES) return;
    clearInterval(timer);
    response.end();
  }, STREAM_PAUSE_MS);
  response.on('close', () => clearInterval(timer));
}

/** Passes on what the next service says, with its status and reason. */
function callOn(service: string, id: string, response: ServerResponse): void {
  const [host, port] = (outbound ?? '').split(':');
  const headers = {
    host: service,
    'x-chaos-id': id,
    'x-chaos-client': config.service,
    'x-request-id': onwardId(id, config.instance),
  };
  const onward = request({ host, port, agent, headers, path: '/' }, (answered) => {
    const reason = answered.headers['tulle-reason'];
    response.writeHead(
      answered.statusCode ?? 502,
      reason === undefined ? {} : { 'tulle-reason': String(reason) },
    );
    answered.on('error', () => response.destroy());
    answered.pipe(response);
  });
  onward.on('error', (error) => {
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end(`no word from the own sidecar: ${error.message}`);
  });
  onward.end();
}

function serveGrpc(): void {
  const server = new Server();
  server.addService(GREETER, {
    Greet(call: { request: Greeting }, reply: (error: null, greeting: Greeting) => void) {
      arrived(call.request.id, call.request.client, 'GRPC');
      reply(null, call.request);
    },
    Chat(call: {
      on(event: string, listener: (greeting: Greeting) => void): void;
      write(greeting: Greeting): void;
      end(): void;
    }) {
      call.on('data', (greeting) => call.write(greeting));
      call.on('error', () => {});
      call.on('end', () => call.end());
    },
  });
  server.bindAsync(`127.0.0.1:${config.port}`, ServerCredentials.createInsecure(), (error, port) => {
    if (error !== null) throw error;
    ready(port);
  });
}

function serveTcp(): void {
  const server = createTcpServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    const lines = createInterface({ input: socket });
    // It passes on the errors of its socket: a reset must not end the application.
    lines.on('error', () => {});
    lines.on('line', (line) => {
      arrived(line, '', 'TCP');
      socket.write(`${line}\n`);
    });
  });
  server.listen(config.port, '127.0.0.1', () => {
    const bound = server.address();
    ready(bound !== null && typeof bound === 'object' ? bound.port : 0);
  });
}

const SERVE = { http: serveHttp, grpc: serveGrpc, tcp: serveTcp };
SERVE[config.speaks]();

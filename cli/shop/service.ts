import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { numberOption } from './number-option.ts';

export interface ShopServiceFlags {
  readonly port: string;
  readonly calls: string;
  readonly tag: string;
  readonly slow: string;
  readonly fail: string;
}

interface Service {
  readonly name: string;
  /** URLs that each request calls, all at once. */
  readonly calls: readonly string[];
  readonly tag: string;
  readonly slowMs: number;
  /** Share of requests answered 503, 0 to 1. */
  readonly fail: number;
}

interface Part {
  readonly status: number;
  readonly body: unknown;
}

/** In which clients that are busy ask once more on each connection that they keep. */
const LEAVING_MS = 1_000;
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
/** One id tells the whole story: the application hands it on, as every meshed one must. */
const HANDED_ON = ['x-request-id', 'traceparent', 'x-user'];

/** Runs one of examples/shop's services: calls what it needs, and says who answered. Ends on SIGTERM, after its last answer. */
export async function shopServiceCommand(name: string, flags: ShopServiceFlags): Promise<void> {
  const service: Service = {
    name,
    calls: flags.calls.split(',').filter((url) => url !== ''),
    tag: flags.tag,
    slowMs: numberOption('--slow', flags.slow),
    fail: numberOption('--fail', flags.fail),
  };
  const server = createServer((incoming, response) => {
    answer(service, incoming, response).catch((error: Error) =>
      send(response, 502, { service: name, error: error.message }),
    );
  });
  server.listen(numberOption('--port', flags.port), () => console.log(`${name} listens on ${flags.port}`));
  process.once('SIGTERM', () => {
    // Who keeps a connection is told with its next answer that it is the last one.
    server.prependListener('request', (_incoming, response) => response.setHeader('connection', 'close'));
    // Idle ones are closed at once by this: what is in use must have had its answer before.
    setTimeout(() => server.close(() => process.exit(0)), LEAVING_MS);
  });
}

async function answer(service: Service, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  incoming.resume();
  const { name, tag, slowMs, fail } = service;
  if (incoming.url === '/healthz') {
    send(response, 200, { service: name });
    return;
  }
  if (Math.random() < fail) {
    send(response, 503, { service: name, error: 'has a bad day' });
    return;
  }
  if (slowMs > 0) await new Promise((resolve) => setTimeout(resolve, slowMs));
  const parts = await Promise.all(service.calls.map((url) => call(url, incoming)));
  const failed = parts.find(({ status }) => status >= 400);
  const told = parts.map(({ body }) => body);
  send(response, failed?.status ?? 200, { service: name, tag, pod: hostname(), parts: told });
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}

function call(url: string, incoming: IncomingMessage): Promise<Part> {
  const headers: Record<string, string> = {};
  for (const name of HANDED_ON) {
    const value = incoming.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: parsed(text) }));
    });
    outgoing.on('error', (error) => reject(new Error(`${url}: ${error.message}`)));
    outgoing.end();
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { describe, type Explanation } from '../telemetry/explanation.ts';
import { splitAddress } from '../upstream/connector.ts';

/** What the admin port shows, read when asked. */
export interface AdminSources {
  ready(): { ready: boolean; reasons: string[]; degraded: string[] };
  /** The running tables, without secrets. */
  config(): unknown;
  certs(): unknown;
  metrics(): Promise<{ text: string; contentType: string }>;
  explain(id: string): Explanation | undefined;
  recent(limit: number): Explanation[];
  drain(): void;
}

const PAGES = 'livez readyz metrics config certs explain explain/REQUEST-ID (POST) drain';
const RECENT = 100;

/** Opens the admin port (HTTP by node:http: this is not the hot path). Throws an error that names the address. */
export function openAdmin(address: string, sources: AdminSources): Promise<{ address: string; close: () => void }> {
  const { host, port } = splitAddress(address);
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8192 }, (request, response) => {
    serve(request, response, sources).catch((error: unknown) => {
      send(response, 500, 'text/plain', `${error instanceof Error ? error.message : String(error)}\n`);
    });
  });
  server.maxConnections = 256;
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new Error(`cannot listen on ${address} (admin): ${error.code ?? error.message}`)));
    server.listen({ host, port }, () => {
      const bound = server.address();
      const shown = bound !== null && typeof bound === 'object' ? `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}` : address;
      resolve({
        address: shown,
        close: () => {
          server.close();
          server.closeAllConnections();
        },
      });
    });
  });
}

/** A page in a browser must not reach this port by a name that it made resolve to it (DNS rebinding). */
function hostIsLocal(request: IncomingMessage): boolean {
  const name = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || isIP(name) !== 0;
}

async function serve(request: IncomingMessage, response: ServerResponse, sources: AdminSources): Promise<void> {
  request.resume();
  const { pathname } = new URL(request.url ?? '/', 'http://admin');
  if (!hostIsLocal(request)) return send(response, 403, 'text/plain', 'the admin port is reached by localhost or an IP address only\n');
  if (request.method === 'POST' && pathname === '/drain') {
    sources.drain();
    return send(response, 202, 'text/plain', 'draining\n');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'text/plain', `there are: ${PAGES}\n`);
  switch (pathname) {
    case '/livez':
      return send(response, 200, 'text/plain', 'ok\n');
    case '/readyz': {
      const state = sources.ready();
      return sendJson(response, state.ready ? 200 : 503, state);
    }
    case '/metrics': {
      const { text, contentType } = await sources.metrics();
      return send(response, 200, contentType, text);
    }
    case '/config':
      return sendJson(response, 200, sources.config());
    case '/certs':
      return sendJson(response, 200, sources.certs());
    case '/explain':
      return sendJson(response, 200, sources.recent(RECENT));
    default:
      return pathname.startsWith('/explain/') ? explain(pathname.slice('/explain/'.length), request, response, sources) : send(response, 404, 'text/plain', `there are: ${PAGES}\n`);
  }
}

function explain(id: string, request: IncomingMessage, response: ServerResponse, sources: AdminSources): void {
  const explanation = sources.explain(id);
  if (explanation === undefined) return send(response, 404, 'text/plain', 'this proxy remembers no request of that id; only the newest are kept\n');
  if ((request.headers.accept ?? '').includes('text/plain')) return send(response, 200, 'text/plain; charset=utf-8', describe(explanation));
  sendJson(response, 200, explanation);
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, 'application/json', `${JSON.stringify(value, null, 2)}\n`);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  response.end(body);
}

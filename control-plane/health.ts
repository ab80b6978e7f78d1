import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { ListenAddress } from './distribution/server.ts';

/** What a control plane says of itself to those who ask whether it can be used. */
export interface Readiness {
  readonly ready: boolean;
  /** Why it is not ready, in words. */
  readonly waiting: readonly string[];
  /** What does not work, though it is ready. */
  readonly degraded: readonly string[];
  /** Whether this replica does what only one may do. */
  readonly leads: boolean;
}

export interface HealthServer {
  /** HOST:PORT. */
  readonly address: string;
  close(): void;
}

interface HealthSources {
  readiness(): Readiness;
  /** The exposition for Prometheus, and its content type. */
  metrics(): Promise<{ contentType: string; text: string }>;
}

/** Serves /livez, /readyz and /metrics by HTTP. Throws an Error that names the address. */
export async function openHealthServer(listen: ListenAddress, sources: HealthSources): Promise<HealthServer> {
  const server = createServer((request, response) => void answer(request, response, sources));
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  const { host, port } = listen;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new Error(`cannot listen on ${host ?? '*'}:${port}: ${error.code ?? error.message}`)),
    );
    server.listen({ ...(host !== undefined && { host }), port }, resolve);
  });
  return {
    address: addressOf(server),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function addressOf(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the health port has no address');
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}

async function answer(
  { url = '', method }: IncomingMessage,
  response: ServerResponse,
  { readiness, metrics }: HealthSources,
): Promise<void> {
  const say = (status: number, type: string, text: string): void => {
    response.writeHead(status, { 'content-type': type }).end(text);
  };
  const path = url.split('?', 1)[0];
  if (method !== 'GET' && method !== 'HEAD') say(405, 'text/plain', 'GET only\n');
  else if (path === '/livez') say(200, 'text/plain', 'ok\n');
  else if (path === '/readyz') {
    const state = readiness();
    say(state.ready ? 200 : 503, 'application/json', `${JSON.stringify(state)}\n`);
  } else if (path === '/metrics') {
    const { contentType, text } = await metrics();
    say(200, contentType, text);
  } else say(404, 'text/plain', 'there are /livez, /readyz and /metrics\n');
}

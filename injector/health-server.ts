import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HealthServer {
  readonly address: string;
  close(): void;
}

/** Serves `/livez`, `/readyz` and `/metrics`. `notReady` says why the injector is not ready, or undefined. */
export async function openHealthServer(
  listen: { readonly host?: string; readonly port: number },
  notReady: () => string | undefined,
  metrics: () => Promise<string>,
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const send = (code: number, text: string): void => {
      response.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'GET only\n');
    if (request.url === '/livez') return send(200, 'ok\n');
    if (request.url === '/readyz') {
      const reason = notReady();
      return send(reason === undefined ? 200 : 503, `${reason ?? 'ok'}\n`);
    }
    if (request.url !== '/metrics') return send(404, 'there are /livez, /readyz and /metrics\n');
    metrics().then(
      (text) => send(200, text),
      () => send(500, 'the metrics cannot be read\n'),
    );
  });
  server.listen(listen);
  await once(server, 'listening');
  const { address, port, family } = server.address() as AddressInfo; // of a server that listens on TCP
  return {
    address: family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

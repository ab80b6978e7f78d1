import { createServer, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import type { TestContext } from 'node:test';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import type { GatewayListener, ListenerCertificate } from '../../protocol/gateway.ts';
import type { GatewayResource } from '../../protocol/resources.ts';
import { type Route, routeKey, TLS_ROUTE } from '../../protocol/route.ts';
import { capturedMesh, serviceOfPort } from '../../test/fixture/captured-mesh.ts';
import { routeTo } from '../../test/fixture/told-services.ts';
import { until } from '../../test/fixture/wait.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import type { Log } from '../log.ts';

export const authority = testAuthority();

/** A certificate for `names`. */
export async function certificateOf(...names: string[]): Promise<ListenerCertificate> {
  const sans = names.map((value) => ({ type: 'dns' as const, value }));
  const { chainPem, keyPem } = await (await authority).issue('t/edge', { names: sans });
  return { certificate: chainPem, key: keyPem };
}

/** An application that answers with its name and what it was told of the request. */
export async function application(context: TestContext, name: string): Promise<string> {
  const server = createServer((request, response) => {
    const { host, 'x-forwarded-proto': proto, 'x-forwarded-client-cert': client } = request.headers;
    response.end(JSON.stringify({ name, host, proto, client }));
  });
  server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

let version = 0;

function resource(
  listeners: readonly GatewayListener[],
  routes: readonly Route[],
  key = 't/edge',
): GatewayResource {
  return { kind: 'gateway', key, version: String(version++), listeners, routes };
}

export const at = (route: Route): string => routeKey(route);

/** A gateway with the services `a`, `b` and `c` behind it. */
export async function gateway(context: TestContext, options = {}, log?: Log) {
  const mesh = await capturedMesh(context);
  for (const name of ['a', 'b', 'c'])
    mesh.tell(serviceOfPort(`t/${name}:80`, [await application(context, name)], { protocol: 'http' }));
  const proxy = await mesh.gateway('t/edge', { drainMs: 2_000, ...options }, log);
  const readyz = async () => {
    const response = await fetch(`http://${proxy.admin}/readyz`);
    return { status: response.status, text: await response.text() };
  };
  return {
    ...proxy,
    mesh,
    readyz,
    async serve(listeners: readonly GatewayListener[], routes: readonly Route[]) {
      const told = resource(listeners, routes);
      mesh.tell(told);
      await until('the version to be in force', async () => {
        const config = (await (await fetch(`http://${proxy.admin}/config`)).json()) as {
          gateway?: { version: string };
        };
        return config.gateway?.version === told.version;
      });
      const ports = new Set(listeners.map(({ port }) => port));
      for (const port of ports) await until(`port ${port} to accept`, () => accepts(port));
    },
  };
}

export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export const to = (name: string, path = '/', more: Partial<Route> = {}): Route => ({
  ...routeTo(`t/to-${name}${path === '/' ? '' : path.replaceAll('/', '-')}`, path, { [`t/${name}:80`]: 1 }),
  ...more,
});

export const passed = (name: string, hostnames: string[]): Route => ({
  ...routeTo(`t/tls-${name}`, '/', { [`t/${name}:443`]: 1 }),
  kind: TLS_ROUTE,
  hostnames,
});

/** `STATUS NAME` of the answer to a plain request. */
export function get(port: number, host: string, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { port, host: '127.0.0.1', path, headers: { host }, agent: false },
      (response) => resolve(shown(response)),
    );
    request.on('error', reject).end();
  });
}

/** The same by TLS; `serverName` is what the client asks for. */
export function getSecure(port: number, serverName: string, host = serverName, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        port,
        host: '127.0.0.1',
        path,
        headers: { host },
        servername: serverName,
        agent: false,
        rejectUnauthorized: false,
      },
      (response) => resolve(shown(response)),
    );
    request.on('error', reject).end();
  });
}

async function shown(response: AsyncIterable<Buffer> & { statusCode?: number | undefined }): Promise<string> {
  let text = '';
  for await (const part of response) text += part.toString();
  if (response.statusCode !== 200)
    return `${response.statusCode} ${(JSON.parse(text) as { code?: string }).code ?? ''}`.trim();
  return `200 ${(JSON.parse(text) as { name: string }).name}`;
}

/** A TLS connection that is open, or the error that there was. */
export function tls(port: number, servername: string, more: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', servername, rejectUnauthorized: false, ...more });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
}

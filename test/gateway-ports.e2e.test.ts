import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { GatewayListener } from '../protocol/gateway.ts';
import { testAuthority } from '../sidecar/identity/authority.fixture.ts';
import { capturedMesh, serviceOfPort } from './fixture/captured-mesh.ts';
import { type RawClient, rawClient } from './fixture/client.ts';
import { freePort } from './fixture/free-port.ts';
import { routeTo } from './fixture/told-services.ts';
import { startTulle } from './fixture/tulle.ts';
import { until } from './fixture/wait.ts';

/** The kernel spreads connections by a hash: that all of so many meet one of two is a chance of 1 in 2^39. */
const MANY = 40;
const KEY = 't/app:80';

/** The proxy of the Gateway t/edge, in two workers of its own supervisor. */
async function startGateway(context: TestContext) {
  const mesh = await capturedMesh(context);
  const server = createServer((_request, response) => response.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  mesh.tell(
    serviceOfPort(KEY, [`127.0.0.1:${(server.address() as AddressInfo).port}`], { protocol: 'http' }),
  );
  let version = 0;
  const serve = (...listeners: GatewayListener[]): void =>
    mesh.tell({
      kind: 'gateway',
      key: 't/edge',
      version: String(version++),
      listeners,
      routes: [routeTo('t/all', '/', { [KEY]: 1 })],
    });
  const tulle = await startTulle(
    context,
    ...[
      'sidecar',
      '--gateway-listen',
      '127.0.0.1',
      '--gateway-name',
      't/edge',
      ...mesh.flags('t/edge-tulle'),
    ],
    ...['--admin', '127.0.0.1:0', '--workers', '2', '--drain', '5s'],
  );
  const page = async (path: string): Promise<string> =>
    (await fetch(`http://${tulle.ready.admin}${path}`)).text();
  const readiness = async () =>
    JSON.parse(await page('/readyz')) as { ready: boolean; reasons: string[]; degraded: string[] };
  return { tulle, serve, page, readiness };
}

/** Many kept connections, each with one request answered. */
async function manyClients(context: TestContext, port: number): Promise<RawClient[]> {
  return Promise.all(
    Array.from({ length: MANY }, async () => {
      const client = await rawClient(`127.0.0.1:${port}`);
      context.after(() => client.close());
      client.send('GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n');
      await client.expect('hello');
      return client;
    }),
  );
}

test('workers of a gateway share the ports of its listeners, open and close them, and drain', async (context) => {
  const { tulle, serve, page, readiness } = await startGateway(context);
  const [one, two] = [await freePort(), await freePort()];
  serve({ name: 'one', port: one, protocol: 'HTTP' });
  await until('it to be ready', async () => (await readiness()).ready);
  const clients = await manyClients(context, one);
  const config = JSON.parse(await page('/config')) as { workers: number; gateway?: { key: string } };
  assert.deepEqual([config.workers, config.gateway?.key], [2, 't/edge']);
  const active = [...(await page('/metrics')).matchAll(/^tulle_worker_connections_active\{[^}]*\} (\d+)/gm)];
  const counts = active.map(([, count]) => Number(count));
  assert.equal(counts.length, 2);
  assert.ok(Math.min(...counts) > 0, 'each worker has its part');
  assert.equal(counts[0] ?? 0, MANY - (counts[1] ?? 0));
  serve({ name: 'one', port: one, protocol: 'HTTP' }, { name: 'two', port: two, protocol: 'HTTP' });
  await until('the second port to be open in both', async () => {
    const client = await rawClient(`127.0.0.1:${two}`);
    client.close();
    return !client.ended && (await readiness()).ready;
  });
  await manyClients(context, two);
  serve({ name: 'two', port: two, protocol: 'HTTP' });
  await Promise.all(clients.map((client) => client.untilEnd()));
  const rest = await manyClients(context, two);
  const ended = tulle.end('SIGTERM');
  await Promise.all(rest.map((client) => client.untilEnd()));
  await ended;
  assert.doesNotMatch(tulle.log, /"level":(50|60)/);
});

test('workers of a gateway end TLS, with sessions of one another or without', async (context) => {
  const { serve, readiness } = await startGateway(context);
  const port = await freePort();
  const { chainPem, keyPem } = await (await testAuthority()).issue('t/edge', {
    names: [{ type: 'dns', value: 'shop.test' }],
  });
  const tls = { mode: 'Terminate' as const, certificates: [{ certificate: chainPem, key: keyPem }] };
  serve({ name: 'https', port, protocol: 'HTTPS', tls });
  await until('it to be ready', async () => (await readiness()).ready);
  let session: Buffer | undefined;
  for (let i = 0; i < 20; i++) {
    const socket = await handshake({ port, servername: 'shop.test', ...(session && { session }) });
    socket.on('session', (next: Buffer) => {
      session = next;
    });
    let text = '';
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    socket.write('GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n');
    await until('an answer', () => text.includes('hello'));
    socket.destroy();
  }
  assert.ok(session !== undefined);
});

function handshake(options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', rejectUnauthorized: false, ...options });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', reject);
  });
}

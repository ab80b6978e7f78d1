import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type Server } from 'node:net';
import { type TestContext, test } from 'node:test';
import { request } from 'undici';
import { rawClient } from './fixture/client.ts';
import { meshPair } from './fixture/mesh-pair.ts';
import { explain, relay, writeMesh } from './fixture/relay.ts';
import { application } from './fixture/small-mesh.ts';
import { tcpMesh } from './fixture/tcp-mesh.ts';
import { until } from './fixture/wait.ts';
import { unary, withClient } from './grpc/calls.ts';
import { answerOk, rawGrpcServer } from './grpc/raw-server.ts';
import { TEST_SERVICE } from './grpc/services.ts';
import { ask, openSession } from './http2/client.ts';

const ORDERS = { name: 'orders', namespace: 'shop', port: 80, protocol: 'http' };

/** The sidecar of a service with this rate limit, called without an identity. */
async function limited(context: TestContext, limit: string, app?: string) {
  const annotations = { 'tulle.dev/rate-limit': limit };
  const services = [{ ...ORDERS, annotations }];
  return relay(
    context,
    { services },
    {
      inbound: '127.0.0.1:0',
      workload: { service: 'shop/orders', address: app ?? (await application(context, 'orders')) },
    },
  );
}

async function listening(context: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => void server.close());
  const bound = server.address();
  return `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
}

async function call(address: string, headers: Record<string, string> = {}, path = '/') {
  const { statusCode, headers: got, body } = await request(`http://${address}${path}`, { headers });
  return { status: statusCode, headers: got, body: await body.text() };
}

async function statuses(count: number, one: (index: number) => Promise<{ status: number }>) {
  const seen: number[] = [];
  for (let index = 0; index < count; index++) seen.push((await one(index)).status);
  return seen;
}

test('no more than the burst is let in at once, and the refusal says by what, and when to come again', async (context) => {
  const { address, admin } = await limited(context, '2/h burst 3');
  assert.deepEqual(await statuses(3, () => call(address)), [200, 200, 200]);
  const refused = await call(address);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers['tulle-reason'], 'rate-limited');
  assert.equal(refused.headers['ratelimit-policy'], '"all";q=2;w=3600');
  assert.equal(refused.headers.ratelimit, '"all";r=0;t=1800');
  assert.equal(refused.headers['retry-after'], '1800');
  const { detail } = JSON.parse(refused.body) as { detail: string };
  assert.match(
    detail,
    /^2\/h burst 3 of shop\/orders \(tulle.dev\/rate-limit\) is used up for this caller: /,
  );
  const told = await explain(admin, String(refused.headers['x-request-id']));
  assert.deepEqual(told.policies, [{ policy: 'rate-limit', decision: 'refused', detail }]);
});

test('a response that was let in says what is left', async (context) => {
  const { address } = await limited(context, 'window 5/h; 100/h by ip');
  await call(address);
  const { headers } = await call(address);
  assert.deepEqual(headers.ratelimit, ['"all";r=3;t=3600', '"ip";r=98;t=72']);
  assert.equal(headers['ratelimit-policy'], undefined);
});

/** The application behind its sidecar, called by web's by mTLS. */
async function pair(context: TestContext, limit: string, protocol: 'http' | 'grpc' = 'http') {
  const app =
    protocol === 'grpc'
      ? await rawGrpcServer(context, (stream) => answerOk(stream))
      : await application(context, 'app');
  const annotations = { 'tulle.dev/rate-limit': limit };
  return meshPair(context, { name: 'app', application: app, protocol, annotations });
}

test('by client: the identity that was proved has a quota of its own, strangers another by their address', async (context) => {
  const mesh = await pair(context, '2/h by client');
  const headers = { host: 'app.shop' };
  assert.deepEqual(await statuses(3, () => call(mesh.outbound, headers)), [200, 200, 429]);
  assert.deepEqual(await statuses(3, () => call(mesh.inbound)), [200, 200, 429]);
});

test('an attacker who forges x-forwarded-for or an identity in headers has no more than one quota', async (context) => {
  const { address } = await limited(context, '2/h by ip; 2/h by client');
  const forged = (index: number) => ({
    'x-forwarded-for': `10.0.0.${index}`,
    forwarded: `for=10.0.0.${index}`,
    'x-forwarded-client-cert': `URI=spiffe://mesh.local/ns/shop/sa/w${index}`,
  });
  assert.deepEqual(await statuses(4, (index) => call(address, forged(index))), [200, 200, 429, 429]);
});

test('by path, by header, by claim and by key; who sends none counts with all others who send none', async (context) => {
  const token = (sub: string) =>
    `Bearer e30.${Buffer.from(JSON.stringify({ sub, org: { id: 7 } })).toString('base64url')}.`;
  const cases: [string, Record<string, string>, Record<string, string>][] = [
    ['header:x-user', { 'x-user': 'a' }, { 'X-User': 'b' }],
    ['claim:sub', { authorization: token('a') }, { authorization: token('b') }],
    ['api-key', { 'x-api-key': 'a' }, { 'x-api-key': 'b' }],
  ];
  for (const [by, one, other] of cases) {
    const { address } = await limited(context, `1/h by ${by}`);
    const seen = await statuses(6, (index) => call(address, [one, one, other, other, {}, {}][index]));
    assert.deepEqual(seen, [200, 429, 200, 429, 200, 429], by);
  }
  const { address } = await limited(context, '1/h by path');
  const paths = ['/a', '/a?x=1', '/b', '/b'];
  assert.deepEqual(await statuses(4, (index) => call(address, {}, paths[index])), [200, 429, 200, 429]);
});

test('a key that was refused is not told, neither in the answer nor in the explanation', async (context) => {
  const { address, admin } = await limited(context, '1/h by api-key');
  await call(address, { 'x-api-key': 'hunter2' });
  const { headers, body, status } = await call(address, { 'x-api-key': 'hunter2' });
  assert.equal(status, 429);
  const told = await explain(admin, String(headers['x-request-id']));
  assert.doesNotMatch(body + JSON.stringify([headers, told]), /hunter2/);
});

test('several limits: who is refused by one uses nothing up of another', async (context) => {
  const { address } = await limited(context, '3/h; 1/h by path');
  const paths = ['/a', '/a', '/a', '/b', '/c', '/d'];
  const seen = await statuses(6, (index) => call(address, {}, paths[index]));
  assert.deepEqual(seen, [200, 429, 429, 200, 200, 429]);
});

test('dry-run: nobody is refused, and what would have been is counted', async (context) => {
  const { address, admin } = await limited(context, '1/h dry-run');
  assert.deepEqual(await statuses(3, () => call(address)), [200, 200, 200]);
  const metrics = await (await fetch(`http://${admin}/metrics`)).text();
  const quota = 'quota="shop/orders#token-bucket:3600000:"';
  assert.ok(metrics.includes(`tulle_rate_limit_requests_total{${quota},result="would_refuse"} 2`), metrics);
  assert.ok(metrics.includes(`tulle_rate_limit_requests_total{${quota},result="admitted"} 1`));
});

test('concurrent: a place is free again when its request is over, or its client gone', async (context) => {
  const held: (() => void)[] = [];
  const server = createServer(({ url }, response) => {
    if (url === '/hold') held.push(() => response.end());
    else response.end();
  });
  const { address } = await limited(context, 'concurrent 2', await listening(context, server));
  const free = async () => (await call(address)).status === 200;
  const client = await rawClient(address);
  client.send('GET /hold HTTP/1.1\r\nHost: orders\r\n\r\n');
  const second = call(address, {}, '/hold');
  await until('both requests at the application', () => held.length === 2);
  const refused = await call(address);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers['ratelimit-policy'], '"all";q=2;qu="concurrent-requests"');
  client.close();
  await until('a free place after the client is gone', free);
  const third = call(address, {}, '/hold');
  await until('the third at the application', () => held.length === 3);
  assert.equal(await free(), false);
  for (const end of held) end();
  assert.deepEqual([(await second).status, (await third).status], [200, 200]);
  assert.equal(await free(), true);
});

test('HTTP/2: a refused stream is answered, and its connection goes on', async (context) => {
  const { address } = await limited(context, '1/h');
  const session = await openSession(context, address);
  const first = await ask(session);
  const second = await ask(session);
  assert.deepEqual([first.status, second.status], [200, 429]);
  assert.equal(second.headers['retry-after'], '3600');
  assert.match(String(first.headers.ratelimit), /^"all";r=0;t=3600$/);
});

test('gRPC: RESOURCE_EXHAUSTED with the same words, and when to try again', async (context) => {
  const mesh = await pair(context, '1/h by client', 'grpc');
  await withClient({ address: mesh.outbound, authority: 'app.shop' }, async (client) => {
    const first = await unary(client, TEST_SERVICE.EmptyCall, {});
    const second = await unary(client, TEST_SERVICE.EmptyCall, {});
    assert.deepEqual([first.code, second.code], [0, 8]);
    assert.match(second.details, /^1\/h by client of shop\/app \(tulle.dev\/rate-limit\) is used up/);
    const [pushback] = second.trailers.get('grpc-retry-pushback-ms');
    assert.ok(Number(pushback) > 3_500_000, String(pushback));
  });
});

test('an opaque connection counts as one request, and is reset when there is none left', async (context) => {
  const server = createTcpServer((socket) => socket.on('error', () => {}).pipe(socket));
  const mesh = await tcpMesh(context, await listening(context, server), {
    service: { protocol: 'tcp' },
    annotations: { 'tulle.dev/rate-limit': 'concurrent 1 by client' },
  });
  const first = await rawClient(mesh.address);
  first.send('hello');
  await first.expect('hello');
  const second = await rawClient(mesh.address);
  second.send('hello');
  await second.untilEnd();
  assert.equal(second.text, '');
  first.close();
  await until('another connection that is let in', async () => {
    const next = await rawClient(mesh.address);
    next.send('hello');
    await until('an answer', () => next.text !== '' || next.ended);
    next.close();
    return next.text === 'hello';
  });
});

test('a limit that is changed holds at once, without a restart', async (context) => {
  const app = await application(context, 'orders');
  const sidecar = await limited(context, '1/h', app);
  assert.deepEqual(await statuses(2, () => call(sidecar.address)), [200, 429]);
  writeMesh(sidecar.meshFile, { services: [ORDERS] });
  await until('no limit', async () => (await call(sidecar.address)).status === 200);
});

const GATEWAY_API = 'gateway.networking.k8s.io/v1';

test('a gateway limits the services that have no sidecar, by the address of the real client', async (context) => {
  const annotations = { 'tulle.dev/rate-limit': '2/h by ip' };
  const plain = { ...ORDERS, annotations, endpoints: [await application(context, 'orders')] };
  const metadata = { name: 'edge', namespace: 'shop' };
  const listeners = [{ name: 'http', port: 80, protocol: 'HTTP' }];
  const rules = [{ backendRefs: [{ name: 'orders', port: 80 }] }];
  const parentRefs = [{ name: 'edge' }];
  const { address } = await relay(
    context,
    {
      services: [plain],
      gateway: [{ apiVersion: GATEWAY_API, kind: 'Gateway', metadata, spec: { listeners } }],
      routes: [{ apiVersion: GATEWAY_API, kind: 'HTTPRoute', metadata, spec: { parentRefs, rules } }],
    },
    { gateway: '127.0.0.1:0' },
  );
  const forged = (index: number) => ({ 'x-forwarded-for': `10.0.0.${index}` });
  assert.deepEqual(await statuses(3, (index) => call(address, forged(index))), [200, 200, 429]);
  const { body } = await call(address);
  assert.doesNotMatch(body, /by ip/, 'strangers are told the code only');
});

test('a service that has sidecars is limited there, and once', async (context) => {
  const annotations = { 'tulle.dev/rate-limit': '3/h' };
  const app = await application(context, 'app');
  const mesh = await meshPair(
    context,
    { name: 'app', application: app, protocol: 'http', annotations },
    { gateway: true },
  );
  const headers = { host: 'app.shop' };
  const first = await call(mesh.gateway, headers);
  assert.equal(first.headers.ratelimit, '"all";r=2;t=1200');
  assert.deepEqual(
    await statuses(3, (index) => call(index === 1 ? mesh.outbound : mesh.gateway, headers)),
    [200, 200, 429],
  );
});

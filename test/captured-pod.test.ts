import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';
import { Agent, request } from 'undici';
import { rawBackend } from './fixture/backend.ts';
import {
  addressResource,
  type CapturedMesh,
  type CapturedPod,
  capturedMesh,
  serviceOfPort,
  workloadResource,
} from './fixture/captured-mesh.ts';
import { rawClient } from './fixture/client.ts';
import { until } from './fixture/wait.ts';

const CLUSTER_IP = '10.96.0.10';

/** An application that says what it was asked. */
async function application(context: TestContext): Promise<{ address: string; port: number }> {
  const server = createServer((asked, response) => response.end(`${asked.headers.host} ${asked.url}`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  return { address: `127.0.0.1:${port}`, port };
}

/** One request on a connection of its own to a captured listener. */
async function get(
  address: string,
  path = '/',
  host = 'orders',
): Promise<{ status: number; text: string; reason: string }> {
  const agent = new Agent();
  try {
    const { statusCode, body, headers } = await request(`http://${address}${path}`, {
      dispatcher: agent,
      headers: { host },
    });
    return { status: statusCode, text: await body.text(), reason: String(headers['tulle-reason'] ?? '') };
  } finally {
    await agent.destroy();
  }
}

/** `web` calls `orders` by its cluster IP. */
async function webAndOrders(
  context: TestContext,
  settings: Parameters<typeof workloadResource>[1][number]['settings'] = {},
) {
  const mesh = await capturedMesh(context);
  const app = await application(context);
  mesh.tell(
    addressResource(`${CLUSTER_IP}:80`, 'shop/orders:80'),
    workloadResource('shop/orders', [
      { port: app.port, service: 'shop/orders:80', settings: settings ?? {} },
    ]),
    workloadResource('shop/web', []),
  );
  const orders = await mesh.pod('shop/orders');
  const web = await mesh.pod('shop/web', { ips: ['127.0.0.9'] });
  orders.meant = { host: '127.0.0.1', port: app.port };
  web.meant = { host: CLUSTER_IP, port: 80 };
  mesh.tell(serviceOfPort('shop/orders:80', [orders.inbound], { identity: 'shop/orders' }));
  await ready(mesh, orders, web);
  return { mesh, app, orders, web };
}

async function ready(_mesh: CapturedMesh, ...pods: CapturedPod[]): Promise<void> {
  await until('the pods to be ready', () => pods.every(({ sidecar }) => sidecar.view.ready().ready));
}

test('a call to a cluster IP goes to an endpoint of its service by mTLS, whatever its Host says', async (context) => {
  const { orders, web } = await webAndOrders(context, { mtls: 'strict', allow: ['web'] });
  for (const host of ['orders', 'orders.shop:80', 'anything.example'])
    assert.deepEqual(await get(web.outbound, '/a?b', host), {
      status: 200,
      text: `${host} /a?b`,
      reason: '',
    });
  const [explanation] = orders.sidecar.view.recent(1);
  assert.ok(explanation);
  assert.match(JSON.stringify(explanation), /shop\/web/);
});

test('an attacker without a certificate is kept out of a strict pod, by any way that he tries', async (context) => {
  const { app, orders } = await webAndOrders(context, { mtls: 'strict' });
  assert.deepEqual((await get(orders.inbound)).reason, 'mtls-required');
  const direct = await rawClient(orders.inbound);
  context.after(() => direct.close());
  direct.send('\x00\x01\x02 not HTTP');
  assert.equal(await direct.untilEnd(), '', 'an opaque stream without a certificate');
  for (const meant of [
    undefined,
    { host: '127.0.0.1', port: Number(orders.inbound.split(':')[1]) },
    { host: '127.0.0.2', port: app.port },
    { host: '169.254.169.254', port: 80 },
  ]) {
    orders.meant = meant;
    const client = await rawClient(orders.inbound);
    context.after(() => client.close());
    client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    assert.equal(await client.untilEnd(), '', `the sidecar is no way to ${JSON.stringify(meant)}`);
  }
});

test('a caller that allow does not name is refused', async (context) => {
  const { web } = await webAndOrders(context, { allow: ['other'] });
  assert.equal((await get(web.outbound)).reason, 'not-allowed');
});

test('a strict pod lets in the probes that it declares, and nothing else in plain text', async (context) => {
  const mesh = await capturedMesh(context);
  const app = await application(context);
  mesh.tell(
    workloadResource('shop/orders', [
      { port: app.port, service: 'shop/orders:80', settings: { mtls: 'strict', allow: ['web'] } },
    ]),
  );
  const probes = [{ port: app.port, kind: 'http' as const, path: '/healthz', query: '' }];
  const orders = await mesh.pod('shop/orders', { probes, mtls: 'strict' });
  orders.meant = { host: '127.0.0.1', port: app.port };
  await ready(mesh, orders);
  assert.equal((await get(orders.inbound, '/healthz')).status, 200);
  assert.equal((await get(orders.inbound, '/healthz/x')).reason, 'mtls-required');
});

test('a service that is gone while a connection to it is kept is unavailable, and not unknown to its caller', async (context) => {
  const { web, mesh } = await webAndOrders(context);
  const client = await rawClient(web.outbound);
  context.after(() => client.close());
  const asks = 'GET / HTTP/1.1\r\nhost: orders\r\n\r\n';
  client.send(asks);
  const before = (await client.expect('orders /')).length;
  mesh.forget('service shop/orders:80');
  await until(
    'it to be gone',
    async () => !JSON.stringify(await web.sidecar.view.config()).includes('endpoints'),
  );
  client.send(asks);
  assert.match(await client.expect('no-service', before), /HTTP\/1\.1 503 /);
});

test('an opaque call is mTLS from pod to pod: by a cluster IP, and by the address of the pod itself', async (context) => {
  const { orders, web, app, mesh } = await webAndOrders(context, { mtls: 'strict', allow: ['web'] });
  const database = await rawBackend(({ socket, text }) => {
    if (text.endsWith('ping')) socket.write('pong');
  });
  context.after(() => database.close());
  const port = Number(database.address.split(':')[1]);
  const settings = { mtls: 'strict', allow: ['web'] } as const;
  const own = 'shop/pod-orders.pod';
  const identity = 'shop/orders';
  mesh.tell(
    workloadResource('shop/orders', [
      { port: app.port, service: 'shop/orders:80', settings },
      { port, service: 'shop/db:5432', settings },
    ]),
    addressResource('10.96.0.11:5432', 'shop/db:5432'),
    serviceOfPort('shop/db:5432', [orders.inbound], { identity, protocol: 'tcp' }),
    addressResource(`10.0.0.7:${port}`, `${own}:${port}`),
    serviceOfPort(`${own}:${port}`, [orders.inbound], { identity, protocol: 'tcp' }),
  );
  orders.meant = { host: '127.0.0.1', port };
  for (const meant of [
    { host: '10.96.0.11', port: 5432 },
    { host: '10.0.0.7', port },
  ]) {
    web.meant = meant;
    const client = await rawClient(web.outbound);
    context.after(() => client.close());
    client.send('ping');
    await client.expect('pong');
  }
});

test('an address that is no service passes through unread, both ways and half-closed', async (context) => {
  const outside = await rawBackend(({ socket, text }) => {
    if (text.endsWith('ping')) socket.write('pong');
  });
  context.after(() => outside.close());
  const { web } = await webAndOrders(context);
  const [host = '', port = ''] = outside.address.split(':');
  web.meant = { host, port: Number(port) };
  const client = await rawClient(web.outbound);
  context.after(() => client.close());
  client.send('\x16\x03\x01 looks like TLS, ping');
  await client.expect('pong');
  client.socket.end();
  assert.equal(await client.untilEnd(), 'pong');
  assert.equal(outside.received, '\x16\x03\x01 looks like TLS, ping');
});

test('a connection that was made to the outbound listener itself is refused, not passed on for ever', async (context) => {
  const { web } = await webAndOrders(context);
  for (const meant of [undefined, { host: '127.0.0.1', port: Number(web.outbound.split(':')[1]) }]) {
    web.meant = meant;
    const client = await rawClient(web.outbound);
    context.after(() => client.close());
    assert.equal(await client.untilEnd(), '');
  }
});

test('a pod that calls itself through its service reaches its application', async (context) => {
  const mesh = await capturedMesh(context);
  const app = await application(context);
  mesh.tell(
    addressResource(`${CLUSTER_IP}:80`, 'shop/orders:80'),
    serviceOfPort('shop/orders:80', [app.address], { identity: 'shop/orders' }),
    workloadResource('shop/orders', [
      { port: app.port, service: 'shop/orders:80', settings: { mtls: 'strict' } },
    ]),
  );
  const orders = await mesh.pod('shop/orders');
  orders.meant = { host: CLUSTER_IP, port: 80 };
  await ready(mesh, orders);
  assert.equal((await get(orders.outbound)).status, 200);
});

test('an application that ended while its call was not connected yet does not hold up the end of its pod', async (context) => {
  const { web, mesh } = await webAndOrders(context);
  const silent = await rawBackend(() => {}); // it takes connections, and never shakes hands
  context.after(() => silent.close());
  mesh.tell(
    addressResource('10.96.0.11:5432', 'shop/db:5432'),
    serviceOfPort('shop/db:5432', [silent.address], {
      identity: 'shop/db',
      protocol: 'tcp',
      settings: { retries: { attempts: 10, on: ['connect'] } },
    }),
  );
  web.meant = { host: '10.96.0.11', port: 5432 };
  const client = await rawClient(web.outbound);
  context.after(() => client.close());
  client.send('hello');
  await until('the attempt', () => silent.connections.length > 0);
  client.socket.end();
  await web.sidecar.drain();
  assert.equal(web.sidecar.view.recent(1)[0]?.reason, 'client-closed');
});

test('a pod that is told to end has its callers go elsewhere; its own calls go on', async (context) => {
  const { mesh, app, orders, web } = await webAndOrders(context);
  const caller = await rawClient(orders.inbound);
  context.after(() => caller.close());
  caller.send('GET /first HTTP/1.1\r\nhost: a\r\n\r\n');
  await caller.expect('a /first');
  mesh.tell(
    workloadResource('shop/orders', [{ port: app.port, service: 'shop/orders:80' }], { terminating: true }),
    workloadResource('shop/web', [], { terminating: true }),
  );
  await until('a response that says so', async () => {
    if (caller.ended) return true;
    caller.send('GET /next HTTP/1.1\r\nhost: a\r\n\r\n');
    return /connection: close/i.test(caller.text);
  });
  const own = await rawClient(web.outbound);
  context.after(() => own.close());
  own.send('GET /own HTTP/1.1\r\nhost: a\r\n\r\n');
  assert.doesNotMatch(await own.expect('a /own'), /connection: close/i);
  assert.equal((await get(orders.inbound, '/late')).status, 200, 'it serves to its end');
});

test('while no control plane answers, a permissive pod passes everything through, and says so', async (context) => {
  const mesh = await capturedMesh(context);
  const app = await application(context);
  mesh.plane.close();
  const orders = await mesh.pod('shop/orders');
  await until('the failure to be known', () => JSON.stringify(orders.sidecar.view.certs()).includes('error'));
  orders.meant = { host: '127.0.0.1', port: app.port };
  await until('the application behind it', async () => {
    try {
      return (await get(orders.inbound, '/in')).status === 200;
    } catch {
      return false;
    }
  });
  assert.equal((await get(orders.outbound, '/out')).text, 'orders /out');
  const { ready, reasons } = orders.sidecar.view.ready();
  assert.equal(ready, false);
  assert.match(reasons.join(), /no control plane has told what protects the pod shop\/pod-orders/);
});

test('while no control plane answers, nobody gets into a strict pod on a guess', async (context) => {
  const mesh = await capturedMesh(context);
  const app = await application(context);
  mesh.plane.close();
  const orders = await mesh.pod('shop/orders', { mtls: 'strict' });
  orders.meant = { host: '127.0.0.1', port: app.port };
  const answer = await get(orders.inbound, '/in');
  assert.deepEqual([answer.status, answer.reason], [503, 'service-unknown-yet']);
});

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { rawBackend } from '../fixture/backend.ts';
import { rawClient } from '../fixture/client.ts';
import { type Called, type MeshPair, meshPair } from '../fixture/mesh-pair.ts';
import { appMesh, explain, relay } from '../fixture/relay.ts';
import { until } from '../fixture/wait.ts';
import { unary, withClient } from '../grpc/calls.ts';
import { answerOk, answerStatus, rawGrpcServer } from '../grpc/raw-server.ts';
import { TEST_SERVICE } from '../grpc/services.ts';
import { ask, begin, openSession } from '../http2/client.ts';
import { startHttp2 } from '../http2/server.ts';
import { answers, type CountingServer, caller, countingServer } from './http1-servers.ts';

const LIMIT = { timeout: 60_000 };

/** Two sidecars before a server that shows the headers that it gets. */
async function mesh(
  context: TestContext,
  more: Partial<Called> = {},
): Promise<MeshPair & { readonly app: CountingServer }> {
  const app = await countingServer(context, answers(200));
  const pair = await meshPair(context, { name: 'app', application: app.address, ...more }, { gateway: true });
  return { ...pair, app };
}

const APP = { host: 'app.shop' };

test('a deadline goes on to the application, and is shorter at each hop', LIMIT, async (context) => {
  const { outbound, app } = await mesh(context, { annotations: { 'tulle.dev/timeout': '5s' } });
  const call = caller(context, outbound);
  await call('own', { headers: APP });
  const own = Number(app.headers[0]?.['tulle-timeout-ms']);
  assert.ok(own > 0 && own < 5000, `${own}`);
  await call('nearer', { headers: { ...APP, 'tulle-timeout-ms': '700' } });
  const nearer = Number(app.headers[1]?.['tulle-timeout-ms']);
  assert.ok(nearer > 0 && nearer < 700, `${nearer}`);
  await call('farther', { headers: { ...APP, 'tulle-timeout-ms': '60000' } });
  assert.ok(Number(app.headers[2]?.['tulle-timeout-ms']) < 5000, 'it makes no policy longer');
});

test('without a timeout or a deadline, the application is told none', LIMIT, async (context) => {
  const { outbound, app } = await mesh(context);
  await caller(context, outbound)('none', { headers: APP });
  assert.equal(app.headers[0]?.['tulle-timeout-ms'], undefined);
  assert.equal(app.headers[0]?.['tulle-attempt'], undefined);
});

test('a request whose time is over is not sent on', LIMIT, async (context) => {
  const { outbound, app, admin } = await mesh(context);
  const got = await caller(context, outbound)('over', { headers: { ...APP, 'tulle-timeout-ms': '0' } });
  assert.deepEqual([got.status, got.headers['tulle-reason']], [504, 'deadline-exceeded']);
  assert.equal(app.times.length, 0);
  assert.match(String((await explain(admin, 'over')).detail), /^the request was not sent to shop\/app/);
});

test(
  'who calls without the mesh, or at the edge, sets no deadline and no attempt: an endpoint would be blamed for it',
  LIMIT,
  async (context) => {
    const { inbound, gateway, app } = await mesh(context);
    const lies = { ...APP, 'tulle-timeout-ms': '0', 'tulle-attempt': '2' };
    for (const [at, address] of [inbound, gateway].entries()) {
      const got = await caller(context, address)(`lie-${at}`, { headers: lies });
      assert.equal(got.status, 200);
      assert.equal(app.headers[at]?.['tulle-timeout-ms'], undefined);
      assert.equal(app.headers[at]?.['tulle-attempt'], undefined);
    }
  },
);

test('a gRPC deadline shrinks by what an attempt took', LIMIT, async (context) => {
  const seen: string[] = [];
  let calls = 0;
  const application = await rawGrpcServer(context, (stream, headers) => {
    seen.push(String(headers['grpc-timeout']));
    if (calls++ === 0) setTimeout(() => answerStatus(stream, status.UNAVAILABLE, 'not now'), 80);
    else answerOk(stream);
  });
  const annotations = { 'tulle.dev/retries': '2 on unavailable' };
  const pair = await meshPair(context, { name: 'app', application, protocol: 'grpc', annotations });
  await withClient({ address: pair.outbound, authority: 'app.shop' }, async (client) => {
    const outcome = await unary(client, TEST_SERVICE.EmptyCall, {}, undefined, {
      deadline: Date.now() + 20_000,
    });
    assert.equal(outcome.code, status.OK);
  });
  const [first = 0, second = 0] = seen.map(
    (text) => Number(text.slice(0, -1)) / (text.endsWith('u') ? 1000 : 1),
  );
  assert.ok(second <= first - 79, `${seen}`);
});

test(
  'a request on which nothing moves for the idle timeout is ended, one that moves is not',
  LIMIT,
  async (context) => {
    const drips = await rawBackend(({ socket }, added) => {
      if (!added.endsWith('\r\n\r\n')) return;
      if (added.startsWith('GET /still')) return;
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n');
      let sent = 0;
      const timer = setInterval(() => {
        socket.write('x');
        if (++sent === 8) clearInterval(timer);
      }, 60);
      socket.on('close', () => clearInterval(timer));
    });
    context.after(() => drips.close());
    const proxy = await relay(context, appMesh([drips.address], { 'tulle.dev/idle-timeout': '300ms' }));
    const client = await rawClient(proxy.address);
    client.send('GET /drips HTTP/1.1\r\nHost: app\r\n\r\n');
    await client.expect('xxxxxxxx');
    client.send('GET /still HTTP/1.1\r\nHost: app\r\n\r\n');
    await client.expect('tulle-reason: idle-timeout');
    client.close();
    await until('the end of the work at the upstream', () => drips.connections.at(-1)?.closed === true);
  },
);

test('a connection takes no longer than the connect timeout of the service', LIMIT, async (context) => {
  const proxy = await relay(
    context,
    // Nobody answers there (RFC 5737), or the network says so at once.
    appMesh(['192.0.2.1:80'], { 'tulle.dev/connect-timeout': '50ms', 'tulle.dev/retries': '0' }),
  );
  const client = await rawClient(proxy.address);
  client.send('GET / HTTP/1.1\r\nHost: app\r\nx-request-id: c\r\n\r\n');
  await client.expect('HTTP/1.1 503');
  const { detail } = await explain(proxy.admin, 'c');
  assert.match(String(detail), /no connection to 192\.0\.2\.1:80 within 50 ms|connect to 192\.0\.2\.1:80: E/);
  client.close();
});

test(
  'HTTP/2: a client that resets its stream ends the work at once, with its callee and at the application',
  LIMIT,
  async (context) => {
    const codes: number[] = [];
    let came = 0;
    const application = await startHttp2(context, (stream) => {
      came++;
      stream.resume();
      stream.on('close', () => codes.push(stream.rstCode));
    });
    const pair = await meshPair(context, {
      name: 'app',
      application: application.address,
      protocol: 'http2',
    });
    const session = await openSession(context, pair.outbound);
    const stream = begin(session, {}, { endStream: true });
    stream.on('error', () => {});
    await until('the request at the application', () => came === 1);
    stream.close(8);
    await until('the reset at the application', () => codes.length === 1);
    assert.deepEqual(codes, [8]);
    const other = ask(session);
    other.catch(() => {});
    await until('another request on the same connection', () => came === 2);
  },
);

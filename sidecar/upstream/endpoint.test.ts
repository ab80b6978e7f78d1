import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Backend, rawBackend } from '../../test/fixture/backend.ts';
import { type LeapingClock, leapingClock } from '../../test/fixture/leaping-clock.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { HTTP_2, HTTP_11 } from '../http/message-head.ts';
import type { ResponseHandler, Upstream } from '../http/upstream.ts';
import { ClientConnection } from '../http1/client-connection.ts';
import { Transport } from '../transport/transport.ts';
import type { ConnectFailure } from './connect-attempt.ts';
import { type Connector, plainConnector, refusingConnector } from './connector.ts';
import { Endpoint } from './endpoint.ts';
import { type ConnectionWaiter, createPoolUse, type PoolLimits, type PoolUse } from './pool-use.ts';

const LIMITS: PoolLimits = { connections: 100, pending: 100, requests: 100, connectMs: 5000, idleMs: 60_000 };

/** Connects for ever. */
const NEVER: Connector = {
  readyEvent: 'connect',
  open: () => new Socket(),
  openStream: (reader) => Transport.wrap(reader, new Socket()),
  verify: () => undefined,
};

interface Waiter extends ConnectionWaiter {
  connection: ClientConnection | undefined;
  failures: ConnectFailure[];
}

/** What a pool for HTTP/1.1 gives is a whole connection. */
function connectionOf(upstream: Upstream): ClientConnection {
  assert.ok(upstream instanceof ClientConnection);
  return upstream;
}

function waiter(): Waiter {
  const one: Waiter = {
    connection: undefined,
    failures: [],
    onConnection(upstream) {
      one.connection = connectionOf(upstream);
    },
    onConnectFailed: (failure) => one.failures.push(failure),
  };
  return one;
}

/** Answers every request at once, with more header lines if asked. */
function answeringWith(fields = ''): Promise<Backend> {
  return rawBackend((connection, added) => {
    for (const _ of added.matchAll(/^GET /gm))
      connection.socket.write(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 0\r\n\r\n`);
  });
}

interface Pool {
  readonly endpoint: Endpoint;
  readonly use: PoolUse;
  readonly clock: LeapingClock;
}

function poolOf(context: TestContext, connector: Connector, limits: Partial<PoolLimits> = {}): Pool {
  const clock = leapingClock(context);
  const use = createPoolUse(() => endpoint.closeOldestIdle());
  const endpoint: Endpoint = new Endpoint(
    { address: '10.0.0.1:80', weight: 1 },
    {
      connector,
      use,
      limits: { ...LIMITS, ...limits },
      engineLimits: DEFAULT_LIMITS,
      wheel: clock.wheel,
    },
  );
  context.after(() => endpoint.retire());
  return { endpoint, use, clock };
}

/** A pool to a server that answers at once. */
async function pool(
  context: TestContext,
  { fields = '', limits = {} as Partial<PoolLimits> } = {},
): Promise<Pool & { backend: Backend }> {
  const backend = await answeringWith(fields);
  context.after(() => backend.close());
  return { ...poolOf(context, plainConnector(backend.address), limits), backend };
}

async function acquired(endpoint: Endpoint): Promise<ClientConnection> {
  const one = waiter();
  const atOnce = endpoint.acquire(one, HTTP_11);
  if (atOnce !== undefined) return connectionOf(atOnce);
  await until('a connection', () => one.connection !== undefined || one.failures.length > 0);
  return one.connection ?? assert.fail(one.failures[0]?.detail);
}

/** Makes one request on a connection, which goes back to its pool with the answer. */
async function request(connection: ClientConnection): Promise<void> {
  const state = { over: false };
  const end = () => {
    state.over = true;
  };
  const handler: ResponseHandler = {
    onInformational() {},
    onResponse() {},
    onResponseData() {},
    onResponseEnd: end,
    onResponseFlush() {},
    onResponseFailed: end,
    onRequestWritable() {},
    onUpstreamTunnelEnd() {},
  };
  connection.sendText('GET / HTTP/1.1\r\nHost: h\r\n\r\n', handler, 'GET', false, false);
  connection.requestEnd();
  await until('the answer', () => state.over);
}

test('a connection is used again, the one that was used last first', async (context) => {
  const { endpoint, use, backend } = await pool(context);
  const [first, second] = [await acquired(endpoint), await acquired(endpoint)];
  assert.notEqual(first, second);
  assert.deepEqual([endpoint.connections, use.connections, endpoint.idleCount], [2, 2, 0]);
  await request(first);
  await request(second);
  assert.equal(endpoint.idleCount, 2);
  assert.equal(endpoint.acquire(waiter(), HTTP_11), second);
  assert.equal(endpoint.acquire(waiter(), HTTP_11), first);
  assert.equal(endpoint.idleCount, 0);
  assert.equal(backend.connections.length, 2);
});

test('an idle connection is closed at its time, a younger one later', async (context) => {
  const { endpoint, use, clock, backend } = await pool(context);
  const [old, young] = [await acquired(endpoint), await acquired(endpoint)];
  await request(old);
  clock.leap(40_000);
  await request(young);
  clock.leap(19_000);
  assert.equal(endpoint.idleCount, 2);
  clock.leap(1_100);
  assert.equal(endpoint.idleCount, 1);
  assert.equal(young.transport.socket.destroyed, false);
  clock.leap(40_000);
  assert.equal(endpoint.idleCount, 0);
  await until('both are closed', () => backend.connections.every(({ ended }) => ended));
  await until('both are forgotten', () => endpoint.connections === 0 && use.connections === 0);
});

test('a connection that is too old is not given out, even if nobody has closed it yet', async (context) => {
  const { endpoint } = await pool(context, { limits: { idleMs: 60_000 } });
  const old = await acquired(endpoint);
  await request(old);
  endpoint.setLimits({ ...LIMITS, idleMs: 0 });
  const fresh = await acquired(endpoint);
  assert.notEqual(fresh, old);
  assert.equal(old.transport.socket.destroyed, true);
});

for (const [what, fields, after, reused] of [
  ['tells no limit', '', 59_000, true],
  ['closes after 5 s is reused after 3.9 s', 'Keep-Alive: timeout=5\r\n', 3_900, true],
  [
    'closes after 5 s is not reused after 4.1 s, as it may be closing just then',
    'Keep-Alive: timeout=5\r\n',
    4_100,
    false,
  ],
  ['closes after 1 s is never reused', 'Keep-Alive: timeout=1\r\n', 0, false],
  [
    'closes after a day is still not kept beyond the own limit',
    'Keep-Alive: timeout=86400\r\n',
    60_100,
    false,
  ],
] as const) {
  test(`a connection of a server that ${what}`, async (context) => {
    const { endpoint, clock } = await pool(context, { fields });
    const connection = await acquired(endpoint);
    await request(connection);
    clock.leap(after);
    assert.equal((await acquired(endpoint)) === connection, reused);
  });
}

test('a server that closes an idle connection is not sent a request on it', async (context) => {
  const { endpoint, use, backend } = await pool(context);
  const connection = await acquired(endpoint);
  await request(connection);
  backend.connections[0]?.socket.end();
  await until('it is forgotten', () => use.connections === 0);
  assert.equal(endpoint.idleCount, 0);
  assert.notEqual(await acquired(endpoint), connection);
});

test('more waiters than are allowed are refused before they wait', async (context) => {
  const { endpoint, use } = poolOf(context, NEVER, { pending: 2 });
  const waiters = [waiter(), waiter(), waiter()];
  for (const one of waiters) assert.equal(endpoint.acquire(one, HTTP_11), undefined);
  assert.deepEqual(
    waiters.map(({ failures }) => failures.map(({ code }) => code)),
    [[], [], ['pool-full']],
  );
  assert.match(waiters[2]?.failures[0]?.detail ?? '', /^2 requests wait .*limits: pending/);
  assert.equal(use.pending, 2);
  for (const one of waiters) endpoint.cancel(one);
  assert.equal(use.pending, 0);
});

test('a connect that is refused fails its waiter, once, and leaves nothing counted', async (context) => {
  const backend = await answeringWith();
  backend.close();
  const { endpoint, use } = poolOf(context, plainConnector(backend.address));
  const waiters = [waiter(), waiter(), waiter()];
  for (const one of waiters) endpoint.acquire(one, HTTP_11);
  assert.deepEqual([use.connections, use.pending], [3, 3]);
  await until('all failures', () => waiters.every(({ failures }) => failures.length > 0));
  await until('all are forgotten', () => use.connections === 0);
  for (const { failures, connection } of waiters) {
    assert.deepEqual(failures, [{ code: 'connect-failed', detail: 'connect to 10.0.0.1:80: ECONNREFUSED' }]);
    assert.equal(connection, undefined);
  }
  assert.deepEqual([endpoint.connections, use.pending], [0, 0]);
});

test('an HTTP/2 connect that is refused fails all that wait for it, and leaves nothing counted', async (context) => {
  const backend = await answeringWith();
  backend.close();
  const { endpoint, use } = poolOf(context, plainConnector(backend.address));
  const waiters = [waiter(), waiter(), waiter()];
  for (const one of waiters) endpoint.acquire(one, HTTP_2);
  assert.deepEqual([use.connections, use.pending], [1, 3]);
  assert.ok(!waiters.some((one) => endpoint.waitsForPlace(one)), 'for a connect, not for a place');
  await until('all failures', () => waiters.every(({ failures }) => failures.length > 0));
  await until('it is forgotten', () => use.connections === 0);
  for (const { failures } of waiters)
    assert.deepEqual(failures, [{ code: 'connect-failed', detail: 'connect to 10.0.0.1:80: ECONNREFUSED' }]);
  assert.equal(use.pending, 0);
});

test('a connect that takes too long fails its waiter when its time is over', async (context) => {
  const { endpoint, use, clock } = poolOf(context, NEVER);
  const one = waiter();
  endpoint.acquire(one, HTTP_11);
  clock.leap(4_900);
  await turn();
  assert.equal(endpoint.waitsForPlace(one), false);
  assert.deepEqual(one.failures, []);
  clock.leap(200);
  await until('the failure', () => one.failures.length > 0);
  assert.deepEqual(one.failures, [
    { code: 'connect-timeout', detail: 'no connection to 10.0.0.1:80 within 5000 ms' },
  ]);
  await until('it is forgotten', () => use.connections === 0);
  assert.equal(use.pending, 0);
});

test('a connect in time is not cut off when its time would be over', async (context) => {
  const { endpoint, clock } = await pool(context);
  const connection = await acquired(endpoint);
  clock.leap(10_000);
  await request(connection);
  assert.equal(connection.transport.closed, false);
});

test('a waiter that gave up is not called, and the connection that was made for it serves another', async (context) => {
  const { endpoint, use, backend } = await pool(context);
  const one = waiter();
  assert.equal(endpoint.acquire(one, HTTP_11), undefined);
  endpoint.cancel(one);
  endpoint.cancel(one);
  assert.equal(use.pending, 0);
  await until('the connection', () => endpoint.idleCount === 1);
  assert.deepEqual([one.connection, one.failures], [undefined, []]);
  assert.ok(endpoint.acquire(waiter(), HTTP_11));
  assert.equal(backend.connections.length, 1);
});

test('who comes after one that gave up waits for the connection that is on its way, and makes no other', async (context) => {
  const { endpoint, backend } = await pool(context);
  const [gone, next] = [waiter(), waiter()];
  assert.equal(endpoint.acquire(gone, HTTP_11), undefined);
  endpoint.cancel(gone);
  assert.equal(endpoint.acquire(next, HTTP_11), undefined);
  assert.equal(endpoint.connections, 1);
  await until('the connection', () => next.connection !== undefined);
  assert.deepEqual([gone.connection, backend.connections.length], [undefined, 1]);
});

test('at the limit of connections the next waits, and gets the one that is freed first', async (context) => {
  const { endpoint, use, backend } = await pool(context, { limits: { connections: 1 } });
  const connection = await acquired(endpoint);
  const [second, third] = [waiter(), waiter()];
  endpoint.acquire(second, HTTP_11);
  endpoint.acquire(third, HTTP_11);
  assert.deepEqual([use.connections, use.pending], [1, 2]);
  assert.ok(endpoint.waitsForPlace(second) && endpoint.waitsForPlace(third));
  await request(connection);
  assert.equal(second.connection, connection);
  assert.equal(third.connection, undefined);
  await request(connection);
  assert.equal(third.connection, connection);
  assert.deepEqual([use.pending, backend.connections.length], [0, 1]);
});

test('at the limit of connections the next gets a new one when one breaks', async (context) => {
  const { endpoint, use, backend } = await pool(context, { limits: { connections: 1 } });
  const connection = await acquired(endpoint);
  const second = waiter();
  endpoint.acquire(second, HTTP_11);
  await turn();
  assert.equal(backend.connections.length, 1);
  connection.abandon();
  await until('another connection', () => second.connection !== undefined);
  assert.notEqual(second.connection, connection);
  assert.deepEqual([endpoint.connections, use.connections, use.pending], [1, 1, 0]);
});

test('at the limit of connections a failed connect lets the next one try', async (context) => {
  const { endpoint, use } = poolOf(context, refusingConnector('no certificate'), { connections: 1 });
  const waiters = [waiter(), waiter(), waiter()];
  for (const one of waiters) endpoint.acquire(one, HTTP_11);
  assert.equal(use.connections, 1);
  await until('all failures', () => waiters.every(({ failures }) => failures.length === 1));
  await until('nothing is left', () => use.connections === 0 && use.pending === 0);
});

test('an idle connection of one endpoint makes room for another endpoint of its service', async (context) => {
  const { endpoint: first, use, clock, backend } = await pool(context, { limits: { connections: 1 } });
  const other = new Endpoint(
    { address: '10.0.0.2:80', weight: 1 },
    {
      connector: plainConnector(backend.address),
      use,
      limits: { ...LIMITS, connections: 1 },
      engineLimits: DEFAULT_LIMITS,
      wheel: clock.wheel,
    },
  );
  context.after(() => other.retire());
  const connection = await acquired(first);
  await request(connection);
  assert.equal(first.idleCount, 1);
  await request(await acquired(other));
  assert.deepEqual([first.connections, other.connections, use.connections], [0, 1, 1]);
  const busy = await acquired(other);
  const waiting = waiter();
  first.acquire(waiting, HTTP_11);
  await turn();
  assert.equal(waiting.connection, undefined);
  await request(busy);
  await until('the place of the other', () => waiting.connection !== undefined);
  assert.deepEqual([first.connections, use.connections, use.pending], [1, 1, 0]);
});

test('a retired endpoint closes what is idle, and what comes back', async (context) => {
  const { endpoint, use, backend } = await pool(context);
  const [idle, busy] = [await acquired(endpoint), await acquired(endpoint)];
  await request(idle);
  endpoint.retire();
  assert.equal(endpoint.idleCount, 0);
  await until('the idle one is closed', () => endpoint.connections === 1);
  assert.equal(busy.transport.closed, false);
  await request(busy);
  assert.equal(endpoint.idleCount, 0);
  await until('the other is closed', () => endpoint.connections === 0 && use.connections === 0);
  await until('both at the server', () => backend.connections.every(({ ended }) => ended));
});

test('a peer that is refused once it is connected fails its waiter and is closed', async (context) => {
  const backend = await answeringWith();
  context.after(() => backend.close());
  const connector = { ...plainConnector(backend.address), verify: () => 'it proved shop/thief' };
  const { endpoint, use } = poolOf(context, connector);
  const one = waiter();
  endpoint.acquire(one, HTTP_11);
  await until('the failure', () => one.failures.length > 0);
  assert.deepEqual(one.failures, [{ code: 'upstream-tls', detail: '10.0.0.1:80: it proved shop/thief' }]);
  assert.equal(one.connection, undefined);
  await until('it is forgotten', () => use.connections === 0);
  await until('it is closed', () => backend.connections.every(({ ended }) => ended));
  assert.equal(backend.received, '', 'nothing was sent to it');
});

test('a peer that closes during the handshake is told apart from one that is not there', async (context) => {
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  const secure = (address: string): Connector => ({
    ...plainConnector(address),
    readyEvent: 'secureConnect',
  });
  const { endpoint, use } = poolOf(context, secure(backend.address));
  const one = waiter();
  endpoint.acquire(one, HTTP_11);
  await until('the connection', () => backend.connections.length === 1);
  backend.connections[0]?.socket.end();
  await until('the failure', () => one.failures.length > 0);
  assert.deepEqual(one.failures, [
    {
      code: 'upstream-tls',
      detail: 'TLS with 10.0.0.1:80 failed: the peer closed during the handshake',
    },
  ]);
  await until('it is forgotten', () => use.connections === 0);
  backend.close();
  endpoint.setConnector(secure(backend.address));
  const two = waiter();
  endpoint.acquire(two, HTTP_11);
  await until('the failure', () => two.failures.length > 0);
  assert.equal(two.failures[0]?.code, 'connect-failed');
});

test('a new connector closes what the old one made, and makes what comes next', async (context) => {
  const { endpoint, backend } = await pool(context);
  const connection = await acquired(endpoint);
  await request(connection);
  const other = await answeringWith();
  context.after(() => other.close());
  endpoint.setConnector(plainConnector(other.address));
  assert.equal(endpoint.idleCount, 0);
  await request(await acquired(endpoint));
  assert.deepEqual([backend.connections.length, other.connections.length], [1, 1]);
  await until('the old one is closed', () => backend.connections.every(({ ended }) => ended));
});

test('the rest of a response that nobody wants is not waited for for ever', async (context) => {
  const backend = await rawBackend(({ socket }) => {
    socket.write('HTTP/1.1 503 X\r\nContent-Length: 10\r\n\r\n01234');
  });
  context.after(() => backend.close());
  const { endpoint, use, clock } = poolOf(context, plainConnector(backend.address));
  const connection = await acquired(endpoint);
  let discarded = false;
  const handler: ResponseHandler = {
    onInformational() {},
    onResponse() {
      connection.discard();
      discarded = true;
    },
    onResponseData() {},
    onResponseEnd() {},
    onResponseFlush() {},
    onResponseFailed() {},
    onRequestWritable() {},
    onUpstreamTunnelEnd() {},
  };
  connection.sendText('GET / HTTP/1.1\r\nHost: h\r\n\r\n', handler, 'GET', false, false);
  connection.requestEnd();
  await until('the head', () => discarded);
  clock.leap(1_000);
  assert.equal(use.connections, 1);
  clock.leap(2_000);
  await until('the end of the connection', () => use.connections === 0);
});

test('who waits for a stream can give up after new credentials came, and is never called', async (context) => {
  const { endpoint, use, backend } = await pool(context);
  const gone = waiter();
  assert.equal(endpoint.acquire(gone, HTTP_2), undefined);
  endpoint.setConnector(plainConnector(backend.address));
  endpoint.cancel(gone);
  assert.equal(use.pending, 0);
  await until(
    'the end of what nobody wants',
    () => backend.connections.length === 1 && use.connections === 0,
  );
  assert.deepEqual([gone.connection, gone.failures], [undefined, []]);
});

test('an endpoint speaks mTLS if it has an identity to prove', async (context) => {
  const { endpoint } = poolOf(context, NEVER);
  assert.equal(endpoint.mtls, false);
  endpoint.identity = 'shop/orders';
  assert.equal(endpoint.mtls, true);
});

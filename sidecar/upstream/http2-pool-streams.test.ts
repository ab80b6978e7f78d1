import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import type { Upstream } from '../http/upstream.ts';
import { GOAWAY, PREFACE, SETTINGS } from '../http2/frame.ts';
import { frame, RawPeer } from '../http2/raw-peer.fixture.ts';
import type { ConnectFailure } from './connect-attempt.ts';
import { plainConnector } from './connector.ts';
import { Http2Pool } from './http2-pool.ts';
import { type ConnectionWaiter, createPoolUse, type PoolLimits, type PoolUse } from './pool-use.ts';

const LIMITS = { connections: 100, pending: 100, requests: 100, connectMs: 5000, idleMs: 60_000 };

interface Waiter extends ConnectionWaiter {
  readonly streams: Upstream[];
  readonly failures: ConnectFailure[];
}

interface Pool {
  readonly pool: Http2Pool;
  readonly address: string;
  readonly use: PoolUse;
  /** The servers' ends, in the order in which they came. */
  readonly peers: RawPeer[];
  /** Asks for `count` streams, each with a waiter of its own. */
  ask(count: number): Waiter[];
  /** Lets the clock leap by so many ms. */
  leap(ms: number): void;
}

/** A pool to a server that says what the test says. */
async function poolOf(context: TestContext, limits: Partial<PoolLimits> = {}): Promise<Pool> {
  const { wheel, leap } = leapingClock(context);
  const peers: RawPeer[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    peers.push(new RawPeer(socket, PREFACE.length));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  const address = `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
  const use = createPoolUse(() => false);
  const connector = plainConnector(address);
  const pool = new Http2Pool({
    address,
    connector,
    use,
    limits: { ...LIMITS, ...limits },
    engineLimits: DEFAULT_LIMITS,
    wheel,
  });
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const ask = (count: number): Waiter[] =>
    Array.from({ length: count }, () => {
      const one: Waiter = {
        streams: [],
        failures: [],
        onConnection: (upstream) => void one.streams.push(upstream),
        onConnectFailed: (failure) => void one.failures.push(failure),
      };
      const atOnce = pool.acquire(one);
      if (atOnce !== undefined) one.streams.push(atOnce);
      return one;
    });
  return { pool, address, use, peers, ask, leap };
}

/** SETTINGS of a server that takes so many streams at once. */
function takes(streams: number): Buffer {
  return frame(SETTINGS, 0, 0, [0, 3, 0, 0, 0, streams]);
}

const served = (waiters: readonly Waiter[]): number =>
  waiters.filter(({ streams }) => streams.length > 0).length;

test('until a server says how many streams it takes, one is opened, and the others wait for no second connection', async (context) => {
  const { use, peers, ask } = await poolOf(context);
  const waiters = ask(5);
  await until('the first', () => served(waiters) === 1);
  waiters.push(...ask(1));
  await turn();
  assert.deepEqual([served(waiters), use.connections, use.pending], [1, 1, 5]);
  peers[0]?.send(takes(10));
  await until('the others', () => served(waiters) === 6);
  assert.deepEqual([use.connections, use.pending], [1, 0]);
});

test('a server that takes few streams gets another connection for the others', async (context) => {
  const { use, peers, ask } = await poolOf(context);
  const waiters = ask(3);
  await until('the first', () => served(waiters) === 1);
  peers[0]?.send(takes(1));
  await until('a second connection', () => served(waiters) === 2);
  peers[1]?.send(takes(2));
  await until('all', () => served(waiters) === 3);
  assert.deepEqual([use.connections, use.pending], [2, 0]);
});

test('at the limit of connections, what waits for a stream that others have is told from what waits for the server', async (context) => {
  const { pool, peers, ask } = await poolOf(context, { connections: 1 });
  const [first, second] = ask(2);
  await until('the first', () => first?.streams.length === 1);
  if (second === undefined) assert.fail('there are two');
  assert.equal(pool.waitsForPlace(second), false, 'the server has not said how many it takes');
  peers[0]?.send(takes(1));
  await until('the full connection', () => pool.waitsForPlace(second));
  first?.streams[0]?.abandon();
  await until('its place', () => second.streams.length === 1);
  assert.equal(pool.waitsForPlace(second), false);
});

test('a server that takes no stream at all is not sent connection after connection', async (context) => {
  const { use, peers, ask } = await poolOf(context);
  const [first] = ask(1);
  await until('the first', () => first?.streams.length === 1);
  const waiters = ask(2);
  peers[0]?.send(takes(0));
  first?.streams[0]?.abandon();
  await turn();
  assert.deepEqual([served(waiters), use.connections], [0, 1]);
  peers[0]?.send(takes(2));
  await until('what waited', () => served(waiters) === 2);
  assert.equal(use.connections, 1);
});

test('a peer that does not speak HTTP/2 fails all that wait for it', async (context) => {
  const { use, peers, ask } = await poolOf(context);
  const waiters = ask(4);
  await until('the first', () => served(waiters) === 1);
  peers[0]?.send('HTTP/1.1 400 Bad Request\r\n\r\n');
  await until('the failures', () =>
    waiters.every(({ streams, failures }) => streams.length + failures.length === 1),
  );
  assert.match(waiters[1]?.failures[0]?.detail ?? '', /^127\.0\.0\.1:\d+ did not answer in HTTP\/2: /);
  assert.equal(waiters[1]?.failures[0]?.code, 'connect-failed');
  await until('the end', () => use.connections === 0);
  assert.equal(use.pending, 0);
});

test('an idle connection that ends at its time keeps nobody waiting for it', async (context) => {
  const { use, peers, ask, leap } = await poolOf(context);
  const [first] = ask(1);
  await until('the first', () => first?.streams.length === 1);
  peers[0]?.send(takes(10), frame(SETTINGS, 1, 0));
  const [second] = ask(1);
  await until('the second', () => second?.streams.length === 1);
  for (const waiter of [first, second]) waiter?.streams[0]?.abandon();
  leap(LIMITS.idleMs + 100);
  await peers[0]?.expect(GOAWAY);
  const late = ask(1);
  await until('another connection', () => served(late) === 1);
  assert.equal(peers.length, 2);
  assert.equal(use.pending, 0);
});

test('who gave up waiting is not served', async (context) => {
  const { pool, peers, ask, use } = await poolOf(context);
  const waiters = ask(3);
  await until('the first', () => served(waiters) === 1);
  const [, second = assert.fail()] = waiters;
  pool.cancel(second);
  peers[0]?.send(takes(10));
  await until('the third', () => served(waiters) === 2);
  assert.deepEqual([second.streams, use.pending], [[], 0]);
});

test('who waits when its endpoint leaves the service is served by the connection on its way, which then closes', async (context) => {
  const { pool, peers, ask, use } = await poolOf(context);
  const waiters = ask(3);
  pool.retire();
  await until('the first', () => served(waiters) === 1);
  peers[0]?.send(takes(10));
  await until('all', () => served(waiters) === 3);
  for (const { streams } of waiters) streams[0]?.abandon();
  await until('its end', () => use.connections === 0);
  assert.deepEqual([peers.length, use.pending], [1, 0]);
});

test('a connection that is on its way for nobody is closed when its endpoint leaves the service', async (context) => {
  const { pool, peers, ask, use } = await poolOf(context);
  const [waiter = assert.fail()] = ask(1);
  pool.retire();
  pool.cancel(waiter);
  await until('its end', () => peers.length === 1 && use.connections === 0);
  assert.deepEqual([waiter.streams, use.pending], [[], 0]);
});

test('with another connector, one who waits has the stream of what was on its way, and the others go by the new one', async (context) => {
  const { pool, peers, ask, use, address } = await poolOf(context);
  const waiters = ask(2);
  pool.renew(plainConnector(address));
  await until('both', () => served(waiters) === 2);
  peers[0]?.send(takes(10));
  peers[1]?.send(takes(10));
  waiters.push(...ask(1));
  await until('who came later', () => served(waiters) === 3);
  assert.deepEqual([peers.length, use.pending], [2, 0]);
  waiters[0]?.streams[0]?.abandon();
  await until('the end of the old one', () => use.connections === 1);
});

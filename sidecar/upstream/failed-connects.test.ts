import assert from 'node:assert/strict';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer, type Server } from 'node:net';
import { type TestContext, test } from 'node:test';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import type { Upstream } from '../http/upstream.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import type { ConnectFailure } from './connect-attempt.ts';
import { type Connector, plainConnector, refusingConnector } from './connector.ts';
import { Http2Pool } from './http2-pool.ts';
import { mtlsConnector } from './mtls-connector.ts';
import { createPoolUse } from './pool-use.ts';

const LIMITS = { connections: 1, pending: 100, requests: 100, connectMs: 5000, idleMs: 60_000 };

async function addressOf(context: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => void server.close());
  const bound = server.address();
  return `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
}

/** A server that goes away as soon as it is told something, as by a ClientHello; `reset` or by FIN. */
function leaving(context: TestContext, how: 'FIN' | 'reset'): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => (how === 'FIN' ? socket.end() : socket.resetAndDestroy()));
  });
  return addressOf(context, server);
}

function poolOf(context: TestContext, connector: Connector) {
  const clock = leapingClock(context);
  const use = createPoolUse(() => false);
  const parts = { address: '10.0.0.1:80', connector, use, limits: LIMITS };
  const pool = new Http2Pool({ ...parts, engineLimits: DEFAULT_LIMITS, wheel: clock.wheel });
  context.after(() => pool.retire());
  return { pool, use, clock };
}

/** Asks for a stream; what came of it. */
async function asked(pool: Http2Pool): Promise<Upstream | ConnectFailure> {
  let outcome: Upstream | ConnectFailure | undefined;
  const waiter = {
    onConnection: (upstream: Upstream) => {
      outcome = upstream;
    },
    onConnectFailed: (failure: ConnectFailure) => {
      outcome = failure;
    },
  };
  outcome = pool.acquire(waiter);
  await until('a stream or a failure', () => outcome !== undefined);
  return outcome as Upstream | ConnectFailure; // as awaited
}

const own = await (await testAuthority()).identity('t/web');

for (const [what, connectorFor, code, detail] of [
  ['that nobody takes', async () => plainConnector('127.0.0.1:1'), 'connect-failed', /ECONNREFUSED/],
  [
    'to a server that closes during the TLS handshake',
    async (context) => mtlsConnector(await leaving(context, 'FIN'), 't/app', () => own, 'http2'),
    'upstream-tls',
    /TLS with 10\.0\.0\.1:80 failed/,
  ],
  [
    'to a server that resets during the TLS handshake',
    async (context) => mtlsConnector(await leaving(context, 'reset'), 't/app', () => own, 'http2'),
    'upstream-tls',
    /TLS with 10\.0\.0\.1:80 failed/,
  ],
  ['that is never begun', async () => refusingConnector('no certificate'), 'connect-failed', /closed/],
  [
    'to a peer that is refused once it is there',
    async (context) => ({
      ...plainConnector(await addressOf(context, createHttp2Server())),
      verify: () => 'it proved shop/thief',
    }),
    'upstream-tls',
    /it proved shop\/thief/,
  ],
] as readonly [string, (context: TestContext) => Promise<Connector>, string, RegExp][]) {
  test(`a connection ${what} fails those who wait, and gives its place to the next`, async (context) => {
    const { pool, use } = poolOf(context, await connectorFor(context));
    for (let round = 0; round < 2; round++) {
      const outcome = await asked(pool);
      assert.ok('code' in outcome);
      assert.equal(outcome.code, code, outcome.detail);
      assert.match(outcome.detail, detail);
      await until('its place to be free', () => use.connections === 0);
    }
    assert.equal(use.pending, 0);
  });
}

test('a server that does not finish the TLS handshake is given up in time', async (context) => {
  let hellos = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => hellos++);
  });
  const address = await addressOf(context, server);
  const connector = mtlsConnector(address, 't/app', () => own, 'http2');
  const { pool, use, clock } = poolOf(context, connector);
  const outcome = asked(pool);
  await until('the ClientHello', () => hellos === 1);
  clock.leap(LIMITS.connectMs + 100);
  const failure = await outcome;
  assert.ok('code' in failure);
  assert.equal(failure.code, 'connect-timeout', failure.detail);
  await until('its place to be free', () => use.connections === 0);
});

import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { leapingClock } from '../../test/fixture/leaping-clock.ts';
import { until } from '../../test/fixture/wait.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { HTTP_11 } from '../http/message-head.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import { MESH_ALPN } from '../identity/mesh-alpn.ts';
import { contextOptions } from '../identity/tls-contexts.ts';
import { plainConnector } from './connector.ts';
import { Endpoint } from './endpoint.ts';
import { mtlsConnector } from './mtls-connector.ts';
import { createPoolUse } from './pool-use.ts';

const LIMITS = { connections: 10, pending: 10, requests: 10, connectMs: 5000, idleMs: 60_000 };
const GARBAGE = Buffer.from('\0\u00ffGARBAGE \r\n\r\n\u0016\u0003\u0001', 'latin1');
const authority = await testAuthority();

async function listening(context: TestContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const bound = server.address();
  return `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
}

/** Three connections that wait in a pool, and the wires that they go by. */
async function waiting(context: TestContext, tls: boolean) {
  const identity = await authority.identity('t/app');
  const quiet = (socket: Socket) => void socket.on('error', () => {});
  const behind = await listening(
    context,
    tls
      ? createTlsServer({ ...contextOptions(identity), ALPNProtocols: [MESH_ALPN], requestCert: true }, quiet)
      : createServer(quiet),
  );
  const wires: Socket[] = [];
  const between = createServer((near) => {
    const far = connect(Number(behind.split(':')[1]), '127.0.0.1');
    for (const socket of [near, far]) socket.on('error', () => {});
    near.on('close', () => far.destroy());
    near.pipe(far).pipe(near);
    wires.push(near);
  });
  const address = await listening(context, between);
  const own = await authority.identity('t/web');
  const endpoint = new Endpoint(
    { address, weight: 1 },
    {
      connector: tls ? mtlsConnector(address, 't/app', () => own) : plainConnector(address),
      use: createPoolUse(() => false),
      limits: LIMITS,
      engineLimits: DEFAULT_LIMITS,
      wheel: leapingClock(context).wheel,
    },
  );
  context.after(() => {
    endpoint.retire();
    for (const wire of wires) wire.destroy();
  });
  endpoint.keepWarm(3, HTTP_11);
  // The kernel takes a connection before it is told of here.
  await until('three that wait', () => endpoint.idleCount === 3 && wires.length === 3);
  return { endpoint, wires };
}

for (const tls of [false, true]) {
  const of = tls ? 'mTLS' : 'plain';

  test(`${of}: a connection that waits in the pool goes when its server ends it`, async (context) => {
    const { endpoint, wires } = await waiting(context, tls);
    for (const wire of wires) wire.end();
    await until('none to be left', () => endpoint.idleCount === 0 && endpoint.connections === 0);
  });

  test(`${of}: an attacker on the wire who sends garbage spoils no request that comes later`, async (context) => {
    const { endpoint, wires } = await waiting(context, tls);
    for (const wire of wires) wire.write(GARBAGE);
    await until('none to be left', () => endpoint.idleCount === 0 && endpoint.connections === 0);
    assert.equal(endpoint.acquire({ onConnection() {}, onConnectFailed() {} }, HTTP_11), undefined);
  });
}

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createServer } from 'node:tls';
import { rawBackend } from '../../test/fixture/backend.ts';
import { until } from '../../test/fixture/wait.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import { MESH_ALPN, MESH_TCP_ALPN } from '../identity/mesh-alpn.ts';
import { contextOptions } from '../identity/tls-contexts.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { type Connector, plainConnector, refusingConnector } from './connector.ts';
import { mtlsConnector } from './mtls-connector.ts';
import { StreamConnect } from './stream-connect.ts';

const authority = await testAuthority();
const own = await authority.identity('t/web');

/** What became of a connect. */
function connecting(context: TestContext, connector: Connector) {
  const state = { told: [] as string[], gone: 0, end: () => {} };
  const waiter = {
    onStream(transport: { destroy(): void }) {
      state.told.push('open');
      state.end = () => transport.destroy();
      context.after(state.end);
    },
    onStreamFailed: ({ code, detail }: { code: string; detail: string }) =>
      void state.told.push(`${code}: ${detail}`),
  };
  const connect = new StreamConnect(
    connector,
    '10.0.0.1:80',
    5000,
    new TimerWheel(),
    waiter,
    () => state.gone++,
  );
  return { state, connect };
}

/** A TLS server of the mesh that offers `alpn`, or knows nothing of ALPN. */
async function server(context: TestContext, alpn: string[] | undefined): Promise<string> {
  const identity = await authority.identity('t/app');
  const tls = createServer(
    { ...contextOptions(identity), requestCert: true, ...(alpn && { ALPNProtocols: alpn }) },
    (socket) => {
      socket.on('error', () => {});
      context.after(() => socket.destroy());
    },
  );
  await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
  context.after(() => void tls.close());
  const bound = tls.address();
  return `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`;
}

test('a connection is handed on once, and its end is told', async (context) => {
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  const { state, connect } = connecting(context, plainConnector(backend.address));
  await until('the connection', () => state.told.length > 0);
  connect.cancel(); // too late: it belongs to the waiter
  state.end();
  await until('its end', () => state.gone === 1);
  assert.deepEqual(state.told, ['open']);
});

test('who cancels is told nothing, and its place is free', async (context) => {
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  const { state, connect } = connecting(context, plainConnector(backend.address));
  connect.cancel();
  await until('its end', () => state.gone === 1);
  assert.deepEqual(state.told, []);
});

test('what fails is told with its reason, once', async (context) => {
  for (const [connector, told] of [
    [plainConnector('127.0.0.1:1'), /^connect-failed: connect to 10\.0\.0\.1:80: ECONNREFUSED$/],
    [refusingConnector('no network'), /^connect-failed: /],
    [
      mtlsConnector('127.0.0.1:1', 't/app', () => own),
      /^connect-failed: connect to 10\.0\.0\.1:80: ECONNREFUSED$/,
    ],
    [mtlsConnector('127.0.0.1:1', 't/app', () => undefined), /^upstream-tls: .*no certificate yet/],
  ] as const) {
    const { state } = connecting(context, connector);
    await until('its end', () => state.gone === 1 && state.told.length === 1);
    assert.match(state.told[0] ?? '', told);
  }
});

test('mesh mTLS opens a stream with a peer that speaks streams, and proves to be the one meant', async (context) => {
  const good = await server(context, [MESH_ALPN, MESH_TCP_ALPN]);
  const { state } = connecting(
    context,
    mtlsConnector(good, 't/app', () => own),
  );
  await until('an answer', () => state.told.length === 1);
  assert.deepEqual(state.told, ['open']);
  const { state: wrong } = connecting(
    context,
    mtlsConnector(good, 't/other', () => own),
  );
  await until('an answer', () => wrong.told.length === 1);
  assert.match(
    wrong.told[0] ?? '',
    /^upstream-tls: 10\.0\.0\.1:80: it proved to be t\/app, but t\/other was/,
  );
});

test('a peer that speaks requests only, or no ALPN at all, is sent nothing', async (context) => {
  for (const [alpn, told] of [
    [[MESH_ALPN], /^upstream-tls: TLS with 10\.0\.0\.1:80 failed/],
    [undefined, /^upstream-tls: 10\.0\.0\.1:80: it does not speak tulle\/1\+tcp$/],
  ] as const) {
    const address = await server(context, alpn && [...alpn]);
    const { state } = connecting(
      context,
      mtlsConnector(address, 't/app', () => own),
    );
    await until('an answer', () => state.told.length === 1);
    assert.match(state.told[0] ?? '', told);
  }
});

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { before, type TestContext, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { until } from '../../test/fixture/wait.ts';
import { type TestAuthority, testAuthority } from './authority.fixture.ts';
import { standIn } from './control-plane.fixture.ts';
import { openControlSession } from './control-session.ts';
import type { Identity } from './identity.ts';
import { impostor } from './impostor.fixture.ts';

const PING_MS = 5_000;
const CONTROL_PLANE = 'tulle-system/control-plane';
const CONTROL_PLANE_URI = 'spiffe://mesh.local/ns/tulle-system/sa/control-plane';
/** An empty SETTINGS frame (RFC 9113 section 6.5). */
const SETTINGS = Buffer.from('000000040000000000', 'hex');

let authority: TestAuthority;
before(async () => {
  authority = await testAuthority();
});

interface Opened {
  readonly session: ReturnType<typeof openControlSession>;
  connected: boolean;
  error: string | undefined;
  closed: boolean;
}

function opened(
  context: TestContext,
  address: string,
  bundlePem = authority.bundlePem,
  identity?: Identity,
): Opened {
  const session = openControlSession(address, bundlePem, identity);
  context.after(() => session.destroy());
  const state: Opened = { session, connected: false, error: undefined, closed: false };
  session.on('connect', () => {
    state.connected = true;
  });
  session.on('error', (error) => {
    state.error = error.message;
  });
  session.on('close', () => {
    state.closed = true;
  });
  // As a caller does that cannot wait: it must not be sent before the other side is known.
  session
    .request({ ':method': 'POST', ':path': '/secret-path' })
    .on('error', () => {})
    .end('secret-body');
  return state;
}

test('a control plane of the bundle is spoken to', async (context) => {
  const { keyPem, chainPem } = await authority.issue(CONTROL_PLANE);
  const server = await impostor(context, { key: keyPem, cert: chainPem });
  const state = opened(context, server.address);
  await until('the request', () => server.received.includes('secret-body'));
  assert.ok(state.connected);
});

test('an attacker who is not the control plane gets not a byte: not by a certificate of the same authority, nor by the right name of another', async (context) => {
  const other = await testAuthority();
  const url = (value: string) => ({ type: 'url' as const, value });
  const foreign = await other.issue(CONTROL_PLANE);
  const cases: [string, { keyPem: string; chainPem: string }, RegExp][] = [
    ['a workload', await authority.issue('shop/orders'), /is not the control plane: .*sa\/orders"/],
    [
      'its name in another namespace',
      await authority.issue('shop/control-plane'),
      /is not the control plane/,
    ],
    ['a longer name', await authority.issue('tulle-system/control-plane-2'), /is not the control plane/],
    [
      'two names',
      await authority.issue('', {
        names: [url(CONTROL_PLANE_URI), url('spiffe://mesh.local/ns/shop/sa/orders')],
      }),
      /is not the control plane/,
    ],
    [
      'its name after another',
      await authority.issue('', {
        names: [url('spiffe://mesh.local/ns/shop/sa/orders'), url(CONTROL_PLANE_URI)],
      }),
      /is not the control plane/,
    ],
    [
      'its name as a DNS name',
      await authority.issue('', { names: [{ type: 'dns', value: 'tulle-system.control-plane' }] }),
      /is not the control plane/,
    ],
    [
      'its name within a path',
      await authority.issue('', { names: [url(`https://x.test/#${CONTROL_PLANE_URI}`)] }),
      /is not the control plane/,
    ],
    ['the name by another authority', foreign, /unable to verify|self-signed|signature failure/],
    ['a certificate that has ended', await authority.issue(CONTROL_PLANE, { lifeMs: -60_000 }), /expired/],
  ];
  for (const [what, { keyPem, chainPem }, reason] of cases) {
    const server = await impostor(context, { key: keyPem, cert: chainPem });
    const state = opened(context, server.address);
    await until('the refusal', () => state.closed && server.over === 1);
    assert.match(state.error ?? '', reason, what);
    assert.equal(server.received, '', what);
    assert.equal(state.connected, false, what);
  }
});

test('an attacker who speaks older TLS than 1.3 gets not a byte', async (context) => {
  const { keyPem, chainPem } = await authority.issue(CONTROL_PLANE);
  const server = await impostor(context, { key: keyPem, cert: chainPem, maxVersion: 'TLSv1.2' });
  const state = opened(context, server.address);
  await until('the refusal', () => state.closed && server.over === 1);
  assert.equal(server.received, '');
});

test('NODE_TLS_REJECT_UNAUTHORIZED, set for the application, does not open the sidecar', async (context) => {
  const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  context.after(() => {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
  });
  const { keyPem, chainPem } = await authority.issue('shop/orders');
  const server = await impostor(context, { key: keyPem, cert: chainPem });
  const state = opened(context, server.address);
  await until('the refusal', () => state.closed && server.over === 1);
  assert.equal(server.received, '');
});

test('an empty bundle trusts nobody: not the roots that programs trust by default', async (context) => {
  const roots = getCACertificates('default');
  setDefaultCACertificates([authority.bundlePem]);
  context.after(() => setDefaultCACertificates(roots));
  const { keyPem, chainPem } = await authority.issue(CONTROL_PLANE);
  const server = await impostor(context, { key: keyPem, cert: chainPem });
  const state = opened(context, server.address, '');
  await until('the refusal', () => state.closed && server.over === 1);
  assert.equal(server.received, '');
});

test('an identity is proved to the control plane; without one, none is', async (context) => {
  const plane = await standIn(context, authority);
  plane.onIdentity = async () => ({ status: 200, body: '{}' });
  for (const identity of [undefined, await authority.identity('shop/orders')]) {
    const { session } = opened(context, plane.address, authority.bundlePem, identity);
    session.request({ ':method': 'POST', ':path': '/v1/identity' }).end('{"csr":""}');
    const { length } = plane.asked;
    await until('the request', () => plane.asked.length > length);
  }
  assert.deepEqual(
    plane.asked.map(({ peer }) => peer),
    [undefined, 'URI:spiffe://mesh.local/ns/shop/sa/orders'],
  );
});

test('a control plane that answers pings stays; one that does not is given up', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const plane = await standIn(context, authority);
  const answering = opened(context, plane.address);
  await until('the connection', () => answering.connected);
  for (let i = 0; i < 3; i++) {
    const { pings } = plane;
    context.mock.timers.tick(PING_MS);
    await until('the ping', () => plane.pings > pings);
    await new Promise((resolve) => answering.session.ping(resolve)); // answers come in order
  }
  assert.equal(answering.closed, false);
  answering.session.destroy();

  const { keyPem, chainPem } = await authority.issue(CONTROL_PLANE);
  const server = await impostor(context, { key: keyPem, cert: chainPem }, (socket) => socket.write(SETTINGS));
  const silent = opened(context, server.address);
  await until('the connection', () => silent.connected && server.received.includes('secret-body'));
  context.mock.timers.tick(PING_MS);
  assert.equal(silent.closed, false);
  context.mock.timers.tick(PING_MS);
  await until('the end', () => silent.closed);
  assert.equal(silent.error, 'the control plane does not answer any more');
});

test('a server that accepts and never says hello is given up after the time of one ping, so that the next one is asked', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  let accepted = 0;
  const server = createServer((socket) => {
    accepted++;
    socket.on('error', () => {});
    context.after(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  const bound = server.address();
  const port = bound !== null && typeof bound === 'object' ? bound.port : 0;
  const state = opened(context, `127.0.0.1:${port}`);
  await until('the connection', () => accepted === 1);
  context.mock.timers.tick(PING_MS);
  await until('the end', () => state.closed);
  assert.equal(state.error, 'the control plane does not answer any more');
});

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createServer, type TLSSocket } from 'node:tls';
import { until } from '../../test/fixture/wait.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import type { Identity } from '../identity/identity.ts';
import { MESH_ALPN } from '../identity/mesh-alpn.ts';
import { contextOptions } from '../identity/tls-contexts.ts';
import { type Connector, splitAddress } from './connector.ts';
import { mtlsConnector } from './mtls-connector.ts';

const authority = await testAuthority();
const READ_NOTHING = { buffer: new Uint8Array(1024), callback: () => true };

/** A server with an identity, that a test replaces; it says one word to each caller, after its tickets. */
async function server(context: TestContext, identity: Identity, address = '127.0.0.1:0') {
  const open = new Set<TLSSocket>();
  const tls = createServer(
    { ...contextOptions(identity), ALPNProtocols: [MESH_ALPN], requestCert: true },
    (socket) => {
      open.add(socket);
      socket.on('error', () => {});
      socket.write('word');
    },
  );
  await new Promise<void>((resolve) => tls.listen(splitAddress(address), resolve));
  const close = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => tls.close(resolve));
  };
  context.after(() => void close()); // callers go after it
  const bound = tls.address();
  return { address: `127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`, close };
}

/** Opens a connection, and tells how it went; its ticket has come by then. */
async function opened(
  context: TestContext,
  connector: Connector,
): Promise<{ reused: boolean; refusal?: string }> {
  const state = { word: false, failed: '' };
  const socket = connector.open({ ...READ_NOTHING, callback: () => (state.word = true) }) as TLSSocket;
  context.after(() => socket.destroy());
  socket.on('error', (error) => {
    state.failed = error.message;
  });
  const verdict = new Promise<string | undefined>((resolve) => {
    socket.once('secureConnect', () => resolve(connector.verify(socket)));
    socket.once('close', () => resolve(state.failed));
  });
  const refusal = await verdict;
  if (refusal !== undefined) return { reused: false, refusal };
  await until('the word after the ticket', () => state.word);
  return { reused: socket.isSessionReused() };
}

test('a second connection resumes the session of the first, and stands for the peer that was verified', async (context) => {
  const { address } = await server(context, await authority.identity('t/app'));
  const own = await authority.identity('t/web');
  const connector = mtlsConnector(address, 't/app', () => own);
  assert.deepEqual(await opened(context, connector), { reused: false });
  assert.deepEqual(await opened(context, connector), { reused: true });
});

test('a new certificate of our own starts a session of its own: the server must see who calls now', async (context) => {
  const { address } = await server(context, await authority.identity('t/app'));
  let own = await authority.identity('t/web');
  const connector = mtlsConnector(address, 't/app', () => own);
  await opened(context, connector);
  own = await authority.identity('t/web');
  assert.deepEqual(await opened(context, connector), { reused: false });
});

test('an attacker at the address of a peer that was verified before cannot stand on its session', async (context) => {
  const first = await server(context, await authority.identity('t/app'));
  const own = await authority.identity('t/web');
  const connector = mtlsConnector(first.address, 't/app', () => own);
  assert.deepEqual(await opened(context, connector), { reused: false });
  await first.close();
  await server(context, await authority.identity('t/thief'), first.address);
  for (let attempt = 0; attempt < 3; attempt++) {
    assert.deepEqual(await opened(context, connector), {
      reused: false,
      refusal: 'it proved to be t/thief, but t/app was to be there (serviceAccount of the service)',
    });
  }
});

test('an attacker with a certificate of another authority is refused in the handshake', async (context) => {
  const { address } = await server(context, await (await testAuthority()).identity('t/app'));
  const own = await authority.identity('t/web');
  const { refusal } = await opened(
    context,
    mtlsConnector(address, 't/app', () => own),
  );
  assert.match(refusal ?? '', /unable to verify|self-signed|certificate/i);
});

test('without a certificate of our own nothing is opened, and the reason is told', async (context) => {
  const { refusal } = await opened(
    context,
    mtlsConnector('127.0.0.1:1', 't/app', () => undefined),
  );
  assert.equal(refusal, 'this proxy has no certificate yet');
});

test('a proxy whose own certificate has ended sends nothing: its peer would refuse it only after the request', async (context) => {
  const { address } = await server(context, await authority.identity('t/app'));
  const own = await authority.identity('t/web');
  const connector = mtlsConnector(address, 't/app', () => ({ ...own, notAfter: Date.now() - 1 }));
  assert.deepEqual(await opened(context, connector), {
    reused: false,
    refusal: 'the certificate of this proxy has ended',
  });
});

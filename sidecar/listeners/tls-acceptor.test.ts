import assert from 'node:assert/strict';
import { connect as connectPlain } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { rawClient } from '../../test/fixture/client.ts';
import { turn, until } from '../../test/fixture/wait.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import type { Identity, IdentitySource } from '../identity/identity.ts';
import { MESH_ALPN, MESH_TCP_ALPN } from '../identity/mesh-alpn.ts';
import { splitAddress } from '../upstream/connector.ts';
import { accept } from './accept.ts';
import { TlsAcceptor } from './tls-acceptor.ts';

const authority = await testAuthority();

/** An acceptor behind a listener, with an identity that a test renews. */
async function acceptor(context: TestContext, identity: Identity, handshakeMs = 10_000) {
  const listeners = new Set<(identity: Identity) => void>();
  const source: IdentitySource = {
    current: () => identity,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    lastError: () => undefined,
    close() {},
  };
  const secure: TLSSocket[] = [];
  const failures: string[] = [];
  const tls = new TlsAcceptor<{ port: number | undefined }>(
    source,
    identity,
    [MESH_ALPN, MESH_TCP_ALPN],
    handshakeMs,
    (socket, meantFor) => {
      assert.equal(meantFor.port, socket.remotePort, 'each comes with what it was meant for');
      socket.on('error', () => {});
      socket.pipe(socket);
      secure.push(socket);
    },
    (error) => failures.push((error as NodeJS.ErrnoException).code ?? error.message),
  );
  const open = new Set<{ destroy(): void }>();
  const { address, stop } = await accept('127.0.0.1:0', (socket) => {
    open.add(socket);
    socket.on('error', () => {});
    tls.secure(socket, { port: socket.remotePort });
  });
  context.after(() => {
    stop();
    tls.close();
    for (const socket of open) socket.destroy();
  });
  return {
    address,
    secure,
    failures,
    listeners,
    tls,
    renew(next: Identity) {
      for (const listener of listeners) listener(next);
    },
  };
}

interface Caller {
  readonly socket: TLSSocket;
  readonly text: string;
  readonly closed: boolean;
}

/** A caller with an identity, or without one, that says `ping`. */
function call(
  context: TestContext,
  address: string,
  identity: Identity | undefined,
  {
    alpn = MESH_ALPN as string,
    maxVersion = 'TLSv1.3' as 'TLSv1.2' | 'TLSv1.3',
    bundle = authority.bundlePem,
    session = undefined as Buffer | undefined,
  } = {},
): Caller {
  const socket = connect({
    socket: connectPlain(splitAddress(address)),
    ...(identity && { key: identity.keyPem, cert: identity.chainPem }),
    ca: bundle,
    ...(session && { session }),
    maxVersion,
    ALPNProtocols: [alpn],
    checkServerIdentity: () => undefined,
  });
  const state = { socket, text: '', closed: false };
  socket.on('secureConnect', () => socket.write('ping'));
  socket.on('data', (bytes) => {
    state.text += bytes.toString();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    state.closed = true;
  });
  context.after(() => socket.destroy());
  return state;
}

test('a caller of the mesh is let in by TLS 1.3', async (context) => {
  const { address, secure, failures } = await acceptor(context, await authority.identity('t/app'));
  const caller = call(context, address, await authority.identity('t/web'));
  await until('the echo', () => caller.text === 'ping' || caller.closed);
  assert.deepEqual([caller.text, failures], ['ping', []]);
  assert.deepEqual([secure[0]?.getProtocol(), secure[0]?.alpnProtocol], ['TLSv1.3', MESH_ALPN]);
  assert.equal(secure[0]?.getPeerX509Certificate()?.subjectAltName, 'URI:spiffe://mesh.local/ns/t/sa/web');
});

test('each protocol of the list is taken, and known afterwards', async (context) => {
  const { address, secure } = await acceptor(context, await authority.identity('t/app'));
  const web = await authority.identity('t/web');
  for (const alpn of [MESH_TCP_ALPN, MESH_ALPN]) {
    const caller = call(context, address, web, { alpn });
    await until('the echo', () => caller.text === 'ping' || caller.closed);
    assert.equal(secure.at(-1)?.alpnProtocol, alpn);
  }
  assert.equal(secure.length, 2);
});

test('an attacker without a certificate, with one of another authority, with an older TLS or another protocol is not let in', async (context) => {
  const { address, secure, failures } = await acceptor(context, await authority.identity('t/app'));
  const web = await authority.identity('t/web');
  const thief = await (await testAuthority()).identity('t/web');
  for (const caller of [
    call(context, address, undefined),
    call(context, address, thief),
    call(context, address, web, { maxVersion: 'TLSv1.2' }),
    call(context, address, web, { alpn: 'http/1.1' }),
  ]) {
    await until('the end', () => caller.closed);
    assert.equal(caller.text, '');
  }
  await until('all failures', () => failures.length === 4);
  assert.deepEqual(secure, []);
});

test('an attacker who begins a handshake and falls silent is cut off', async (context) => {
  const { address, failures } = await acceptor(context, await authority.identity('t/app'), 30);
  const client = await rawClient(address);
  context.after(() => client.close());
  client.send('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03');
  await until('the end', () => client.closed || client.ended);
  assert.deepEqual(failures, ['ERR_TLS_HANDSHAKE_TIMEOUT']);
});

test('a caller who breaks off its handshake is a failure, and no more', async (context) => {
  const { address, failures, secure } = await acceptor(context, await authority.identity('t/app'));
  const client = await rawClient(address);
  client.send('\x16\x03\x01\x02\x00\x01\x00');
  await turn();
  client.socket.resetAndDestroy();
  await until('the failure', () => failures.length === 1);
  const caller = call(context, address, await authority.identity('t/web'));
  await until('the echo', () => caller.text === 'ping');
  assert.equal(secure.length, 1);
});

test('a renewed leaf is shown to new callers; who is there goes on', async (context) => {
  const first = await authority.identity('t/app');
  const { address, renew } = await acceptor(context, first);
  const web = await authority.identity('t/web');
  const before = call(context, address, web);
  await until('the echo', () => before.text === 'ping');
  const serial = before.socket.getPeerX509Certificate()?.serialNumber;
  renew(await authority.identity('t/app'));
  const after = call(context, address, web);
  await until('the echo', () => after.text === 'ping');
  assert.notEqual(after.socket.getPeerX509Certificate()?.serialNumber, serial);
  before.socket.write(' pong');
  await until('the echo', () => before.text === 'ping pong');
});

test('callers of a root that is trusted no more are not let in, those of the new root are', async (context) => {
  const { address, renew } = await acceptor(context, await authority.identity('t/app'));
  const other = await testAuthority('other.local'); // of another name, as OpenSSL tells roots apart
  const [web, newWeb] = [await authority.identity('t/web'), await other.identity('t/web')];
  const before = call(context, address, web);
  await until('the echo', () => before.text === 'ping');
  renew(await other.identity('t/app'));
  const bundle = `${authority.bundlePem}${other.bundlePem}`;
  const [old, fresh] = [call(context, address, web, { bundle }), call(context, address, newWeb, { bundle })];
  await until('the echo', () => fresh.text === 'ping');
  await until('the end', () => old.closed);
  assert.equal(old.text, '');
});

test('closed, it listens for renewals no more', async (context) => {
  const { tls, listeners } = await acceptor(context, await authority.identity('t/app'));
  assert.equal(listeners.size, 1);
  tls.close();
  assert.equal(listeners.size, 0);
});

for (const [keys, resumed] of [
  [Buffer.alloc(48, 7), true],
  [undefined, false],
] as const) {
  test(`a session of one worker is ${resumed ? '' : 'not '}resumed by another ${resumed ? 'with' : 'without'} the same keys`, async (context) => {
    const identity = { ...(await authority.identity('t/app')), ...(keys && { ticketKeys: keys }) };
    const [one, other] = [await acceptor(context, identity), await acceptor(context, identity)];
    const web = await authority.identity('t/web');
    const first = call(context, one.address, web);
    let session: Buffer | undefined;
    first.socket.on('session', (ticket) => {
      session = ticket;
    });
    await until('a session', () => session !== undefined);
    const second = call(context, other.address, web, { session });
    await until('the echo', () => second.text === 'ping');
    assert.equal(second.socket.isSessionReused(), resumed);
    const name = other.secure[0]?.getPeerX509Certificate()?.subjectAltName;
    assert.equal(name, 'URI:spiffe://mesh.local/ns/t/sa/web', 'the caller is known all the same');
  });
}

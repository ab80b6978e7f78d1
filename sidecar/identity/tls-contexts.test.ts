import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { connect, getCACertificates, setDefaultCACertificates } from 'node:tls';
import { until } from '../../test/fixture/wait.ts';
import { type TestAuthority, testAuthority } from './authority.fixture.ts';
import type { Identity } from './identity.ts';
import { impostor } from './impostor.fixture.ts';
import { clientContext, contextOptions, TicketKeys } from './tls-contexts.ts';

let authority: TestAuthority;
let identity: Identity;
before(async () => {
  authority = await testAuthority();
  identity = await authority.identity('shop/orders');
});

test("an identity's client context is made once", async () => {
  assert.equal(clientContext(identity), clientContext(identity));
  assert.notEqual(clientContext(identity), clientContext(await authority.identity('shop/orders')));
});

test('both sides prove their identity by TLS 1.3, and trust the bundle only', async (context) => {
  const other = await testAuthority();
  const roots = getCACertificates('default');
  // What programs trust by default must not matter, even if the bundle is empty.
  setDefaultCACertificates([authority.bundlePem]);
  context.after(() => setDefaultCACertificates(roots));
  const callers: (string | undefined)[] = [];
  const server = await impostor(
    context,
    { ...contextOptions(identity), ALPNProtocols: ['x'], requestCert: true, rejectUnauthorized: true },
    (socket) => callers.push(`${socket.getProtocol()} ${socket.getPeerX509Certificate()?.subjectAltName}`),
  );
  const [host = '', port] = server.address.split(':');
  const call = async (caller: Identity): Promise<string> => {
    const socket = connect({
      host,
      port: Number(port),
      ALPNProtocols: ['x'],
      secureContext: clientContext(caller),
      checkServerIdentity: () => undefined,
    });
    context.after(() => socket.destroy());
    return new Promise((resolve) => {
      socket.once('secureConnect', () => resolve('connected'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  };
  assert.equal(await call(await authority.identity('shop/web')), 'connected');
  await until('the caller', () => callers.length === 1);
  assert.deepEqual(callers, ['TLSv1.3 URI:spiffe://mesh.local/ns/shop/sa/web']);
  assert.notEqual(await call(await other.identity('shop/web')), 'connected');
  const trusting = { ...(await other.identity('shop/web')), bundlePem: authority.bundlePem };
  const { over } = server;
  await call(trusting); // TLS 1.3 lets the client finish before the server has looked at its certificate
  await until('the refusal by the server', () => server.over > over);
  assert.notEqual(await call({ ...(await authority.identity('shop/web')), bundlePem: '' }), 'connected');
  assert.equal(callers.length, 1);
});

test('keys of session tickets outlive a leaf, but not a bundle', async () => {
  const keys = new TicketKeys();
  const first = keys.for(identity);
  assert.equal(first.length, 48);
  assert.deepEqual(keys.for(await authority.identity('shop/orders')), first, 'the leaf was renewed');
  const other = (await testAuthority()).bundlePem;
  const second = keys.for({ ...identity, bundlePem: other });
  assert.notDeepEqual(second, first);
  assert.notDeepEqual(keys.for(identity), first, 'the keys of an old bundle never come back');
  assert.notDeepEqual(new TicketKeys().for(identity), new TicketKeys().for(identity));
});

test('keys of session tickets that were told are used: any of several processes takes up the sessions of all', () => {
  const ticketKeys = Buffer.alloc(48, 7);
  assert.equal(new TicketKeys().for({ ...identity, ticketKeys }), ticketKeys);
});

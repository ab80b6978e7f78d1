import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { serverContextOptions } from '../identity/server-certificate.ts';
import { certificateOf, tls } from './gateway-ports.fixture.ts';
import { TlsTermination, type TlsTerminationParts } from './tls-termination.ts';

/** A port behind which TLS ends, and a word is said. */
async function terminating(context: TestContext, contextFor: TlsTerminationParts['contextFor']) {
  const termination = new TlsTermination({
    alpns: [],
    handshakeMs: 10_000,
    contextFor,
    onSecure(socket) {
      socket.on('error', () => {});
      socket.resume();
      socket.write('word');
    },
    onFailed() {},
  });
  const server = createServer((socket) => termination.secure(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  return { termination, port: (server.address() as AddressInfo).port };
}

test('who names no server is shown nothing of a listener that is gone', async (context) => {
  const { termination, port } = await terminating(context, () => undefined);
  termination.serveNameless(await certificateOf('shop.test'));
  const socket = await tls(port, '');
  assert.equal(socket.getPeerX509Certificate()?.subjectAltName, 'DNS:shop.test');
  socket.destroy();
  termination.serveNameless(undefined);
  await assert.rejects(tls(port, ''));
});

/** The session of a connection on which a word came: tickets come before it. */
async function sessionOf(socket: TLSSocket): Promise<Buffer> {
  await new Promise((resolve) => socket.once('data', resolve));
  const session = socket.getSession();
  socket.destroy();
  assert.ok(session !== undefined);
  return session;
}

test('sessions are resumed for half a day: then the keys of their tickets are others', async (context) => {
  const certificate = createSecureContext(serverContextOptions(await certificateOf('shop.test')));
  const { port } = await terminating(context, () => certificate);
  let nowMs = performance.now();
  context.mock.method(performance, 'now', () => nowMs);
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const resumes = async (session: Buffer): Promise<boolean> => {
      const socket = await tls(port, 'shop.test', { maxVersion, session });
      const reused = socket.isSessionReused();
      socket.destroy();
      return reused;
    };
    const session = await sessionOf(await tls(port, 'shop.test', { maxVersion }));
    assert.equal(await resumes(session), true);
    nowMs += 13 * 3_600_000;
    assert.equal(await resumes(session), false);
    assert.equal(await resumes(await sessionOf(await tls(port, 'shop.test', { maxVersion }))), true);
  }
});

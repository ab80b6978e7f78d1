import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { BackendTls } from '../../protocol/backend-tls.ts';
import { rawBackend } from '../../test/fixture/backend.ts';
import { until } from '../../test/fixture/wait.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { authority, certified, dns, policy, tlsBackend } from './backend-tls.fixture.ts';
import { backendTlsConnector } from './backend-tls-connector.ts';
import { ConnectAttempt } from './connect-attempt.ts';
import type { Connector } from './connector.ts';
import { StreamConnect } from './stream-connect.ts';

const READ_NOTHING = { buffer: new Uint8Array(1024), callback: () => true };
const ORDERS = dns('orders.test');

/** Opens a connection for requests, and tells how it went; its ticket has come by then. */
async function opened(
  context: TestContext,
  connector: Connector,
): Promise<{ reused: boolean; refusal?: string }> {
  const state = { word: false };
  const socket = connector.open({ ...READ_NOTHING, callback: () => (state.word = true) }) as TLSSocket;
  context.after(() => socket.destroy());
  const attempt = new ConnectAttempt(5000, new TimerWheel(), () => {});
  context.after(() => attempt.over());
  let error: Error | undefined;
  socket.on('error', (reason: Error) => {
    error = reason;
  });
  const verdict = await new Promise<string | undefined>((resolve) => {
    socket.once('secureConnect', () => resolve(connector.verify(socket)));
    socket.once('close', () => resolve(attempt.failure(error, connector, 'HERE').detail));
  });
  if (verdict !== undefined) return { reused: false, refusal: verdict };
  await until('the word after the ticket', () => state.word);
  return { reused: socket.isSessionReused() };
}

function called(address: string, tls: BackendTls, carries: 'http1' | 'http2' = 'http1'): Connector {
  return backendTlsConnector(address, tls, undefined, carries);
}

test('a backend that proves the name of the policy is believed, and told that name', async (context) => {
  const backend = await tlsBackend(context, await certified(ORDERS));
  assert.deepEqual(await opened(context, called(backend.address, policy('orders.test'))), { reused: false });
  assert.deepEqual(backend.serverNames, ['orders.test']);
});

test('a second connection resumes the session of the first', async (context) => {
  const { address } = await tlsBackend(context, await certified(ORDERS));
  const connector = called(address, policy('orders.test'));
  await opened(context, connector);
  assert.deepEqual(await opened(context, connector), { reused: true });
});

test('a session of TLS 1.2 is resumed as well', async (context) => {
  const { address } = await tlsBackend(context, { ...(await certified(ORDERS)), maxVersion: 'TLSv1.2' });
  const connector = called(address, policy('orders.test'));
  await opened(context, connector);
  assert.deepEqual(await opened(context, connector), { reused: true });
});

test('names of the policy take the place of its hostname, which is still told as SNI', async (context) => {
  const names = [{ type: 'url', value: 'spiffe://backend.test/orders' }, ...dns('other.test')] as const;
  const backend = await tlsBackend(context, await certified(names));
  for (const name of [
    { type: 'URI', value: 'spiffe://backend.test/orders' },
    { type: 'Hostname', value: 'OTHER.test' },
  ] as const) {
    const wrong = { type: 'Hostname', value: 'nobody.test' } as const;
    const tls = policy('orders.test', { names: [wrong, name] });
    assert.deepEqual(await opened(context, called(backend.address, tls)), { reused: false });
  }
  assert.deepEqual(backend.serverNames, ['orders.test', 'orders.test']);
});

test('where names are given, the hostname alone proves nothing', async (context) => {
  const { address } = await tlsBackend(context, await certified(ORDERS));
  const tls = policy('orders.test', { names: [{ type: 'URI', value: 'spiffe://backend.test/orders' }] });
  const { refusal } = await opened(context, called(address, tls));
  assert.equal(
    refusal,
    'its certificate names "DNS:orders.test", but BackendTLSPolicy shop/tls wants "spiffe://backend.test/orders" (subjectAltNames)',
  );
});

test('a wildcard of the certificate proves a name below it', async (context) => {
  const { address } = await tlsBackend(context, await certified(dns('*.shop.test')));
  assert.deepEqual(await opened(context, called(address, policy('orders.shop.test'))), { reused: false });
  const { refusal } = await opened(context, called(address, policy('a.orders.shop.test')));
  assert.match(refusal ?? '', /"DNS:\*\.shop\.test", but .* wants "a\.orders\.shop\.test" \(hostname\)/);
});

test('an attacker with a certificate of the authority for another name is refused', async (context) => {
  const { address } = await tlsBackend(context, await certified(dns('thief.test')));
  const connector = called(address, policy('orders.test'));
  for (let attempt = 0; attempt < 3; attempt++) {
    assert.deepEqual(await opened(context, connector), {
      reused: false,
      refusal:
        'its certificate names "DNS:thief.test", but BackendTLSPolicy shop/tls wants "orders.test" (hostname)',
    });
  }
});

test('an attacker at the address of a backend that was verified before cannot stand on its session', async (context) => {
  const first = await tlsBackend(context, await certified(ORDERS));
  const connector = called(first.address, policy('orders.test'));
  await opened(context, connector);
  await first.close();
  await tlsBackend(context, await certified(dns('thief.test')), { address: first.address });
  for (let attempt = 0; attempt < 3; attempt++) {
    const { refusal } = await opened(context, connector);
    assert.match(refusal ?? 'believed', /names "DNS:thief.test"/);
  }
});

test('an attacker who hides a URI in a host name is refused', async (context) => {
  const uri = 'spiffe://backend.test/orders';
  const { address } = await tlsBackend(context, await certified(dns(`a, URI:${uri}, DNS:b`)));
  const tls = policy('orders.test', { names: [{ type: 'URI', value: uri }] });
  assert.match((await opened(context, called(address, tls))).refusal ?? 'believed', /its certificate names/);
});

test('an attacker with a certificate of another authority is refused in the handshake', async (context) => {
  const { address } = await tlsBackend(context, await certified(ORDERS, { by: await testAuthority() }));
  const { refusal } = await opened(context, called(address, policy('orders.test')));
  assert.equal(refusal, 'TLS with HERE failed: unable to verify the first certificate');
});

test('an attacker with a certificate of an authority that the policy does not name is not believed for a public one', async (context) => {
  const { address } = await tlsBackend(context, await certified(ORDERS));
  for (const authorities of ['system', [], [''], ['-----BEGIN CERTIFICATE-----\nx']] as const) {
    const { refusal } = await opened(context, called(address, policy('orders.test', { authorities })));
    assert.match(refusal ?? 'believed', /unable to (verify|get)/);
  }
});

test('an attacker with a certificate that has ended is refused', async (context) => {
  const { address } = await tlsBackend(context, await certified(ORDERS, { lifeMs: -1000 }));
  const { refusal } = await opened(context, called(address, policy('orders.test')));
  assert.equal(refusal, 'TLS with HERE failed: certificate has expired');
});

test('an attacker who answers in plain text is refused, and gets no byte of a request', async (context) => {
  const backend = await rawBackend(
    ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'),
  );
  context.after(() => backend.close());
  const { refusal } = await opened(context, called(backend.address, policy('orders.test')));
  assert.match(refusal ?? 'believed', /^TLS with HERE failed: the peer does not speak TLS/);
});

test('for HTTP/2 a backend must choose h2; for HTTP/1.1 it may know nothing of ALPN', async (context) => {
  const certificate = await certified(ORDERS);
  const tls = policy('orders.test');
  const both = await tlsBackend(context, { ...certificate, ALPNProtocols: ['h2', 'http/1.1'] });
  assert.deepEqual(await opened(context, called(both.address, tls, 'http2')), { reused: false });
  assert.deepEqual(await opened(context, called(both.address, tls, 'http1')), { reused: false });
  const none = await tlsBackend(context, certificate);
  assert.deepEqual(await opened(context, called(none.address, tls, 'http1')), { reused: false });
  const { refusal } = await opened(context, called(none.address, tls, 'http2'));
  assert.equal(refusal, 'it does not speak HTTP/2: it did not choose h2 in the TLS handshake');
});

test('a policy that cannot be used opens nothing, and says why', async (context) => {
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  const invalid = called(
    backend.address,
    policy('orders.test', { invalid: 'there is no ConfigMap shop/ca' }),
  );
  assert.deepEqual(await opened(context, invalid), {
    reused: false,
    refusal: 'TLS with HERE failed: BackendTLSPolicy shop/tls: there is no ConfigMap shop/ca',
  });
  assert.equal(backend.connections.length, 0);
});

test("the gateway's certificate is presented to a backend that asks for one, and only that", async (context) => {
  const certificate = await certified(ORDERS);
  const own = await certified(dns('gateway.test'));
  const asks = { ...certificate, requestCert: true, ca: authority.bundlePem };
  const backend = await tlsBackend(context, { ...asks, rejectUnauthorized: false });
  const presented = { certificate: own.cert, key: own.key };
  const tls = policy('orders.test');
  await opened(context, backendTlsConnector(backend.address, tls, presented, 'http1'));
  assert.deepEqual(backend.presented, [new X509Certificate(own.cert).toString()]);
  await opened(context, called(backend.address, tls));
  assert.equal(backend.presented.length, 1);
});

/** Opens a connection for an opaque stream: 'open', or why not. */
async function streamed(context: TestContext, connector: Connector): Promise<string> {
  const told: string[] = [];
  const waiter = {
    onStream(transport: { destroy(): void }) {
      told.push('open');
      context.after(() => transport.destroy());
    },
    onStreamFailed: ({ code, detail }: { code: string; detail: string }) =>
      void told.push(`${code}: ${detail}`),
  };
  new StreamConnect(connector, 'HERE', 5000, new TimerWheel(), waiter, () => {});
  await until('the stream or its failure', () => told.length > 0);
  return told.join();
}

test('an opaque stream goes by TLS as well, to the backend that is meant only', async (context) => {
  const backend = await tlsBackend(context, await certified(ORDERS));
  assert.equal(await streamed(context, called(backend.address, policy('orders.test'))), 'open');
  assert.equal(
    await streamed(context, called(backend.address, policy('other.test'))),
    'upstream-tls: HERE: its certificate names "DNS:orders.test", but BackendTLSPolicy shop/tls wants "other.test" (hostname)',
  );
});

test('a stream that is TLS from end to end is not wrapped once more', async (context) => {
  const backend = await rawBackend(() => {});
  context.after(() => backend.close());
  const { forTls } = called(backend.address, policy('orders.test'));
  assert.ok(forTls !== undefined);
  assert.equal(await streamed(context, forTls), 'open');
});

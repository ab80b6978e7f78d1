import 'reflect-metadata';
import assert from 'node:assert/strict';
import { webcrypto, X509Certificate } from 'node:crypto';
import { before, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { peerWorkload, spiffeUri } from './peer.ts';

x509.cryptoProvider.set(webcrypto as Crypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR_MS = 3_600_000;
const ORDERS = 'spiffe://example.test/ns/shop/sa/orders';
let keys: webcrypto.CryptoKeyPair;

before(async () => {
  keys = await webcrypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);
});

/** A certificate with just these names, valid from an hour ago for two hours. */
async function certificate(
  names: x509.JsonGeneralNames,
  { fromMs = -HOUR_MS, toMs = HOUR_MS } = {},
): Promise<X509Certificate> {
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    keys,
    signingAlgorithm: ALGORITHM,
    name: `CN=${ORDERS}`,
    notBefore: new Date(Date.now() + fromMs),
    notAfter: new Date(Date.now() + toMs),
    extensions: names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)],
  });
  return new X509Certificate(made.toString('pem'));
}

/** A handshake's other end: no more than what is looked at. */
function socketOf(peer: X509Certificate | undefined): TLSSocket {
  return { getPeerX509Certificate: () => peer } as unknown as TLSSocket;
}

async function refusal(names: x509.JsonGeneralNames, dates = {}): Promise<string> {
  const found = peerWorkload(socketOf(await certificate(names, dates)), 'example.test');
  assert.ok('refused' in found, JSON.stringify(found));
  return found.refused;
}

test('the workload is that of the URI, until the certificate ends', async () => {
  const peer = await certificate([
    { type: 'dns', value: 'orders.shop' },
    { type: 'url', value: ORDERS },
  ]);
  assert.equal(spiffeUri(peer), ORDERS);
  assert.deepEqual(peerWorkload(socketOf(peer), 'example.test'), {
    workload: 'shop/orders',
    notAfter: peer.validToDate.getTime(),
  });
});

test('a peer without certificate is refused', () => {
  assert.deepEqual(peerWorkload(socketOf(undefined), 'example.test'), {
    refused: 'it presented no certificate',
  });
});

test('a certificate that ended while its session lived, or that is not yet valid, is refused', async () => {
  const names: x509.JsonGeneralNames = [{ type: 'url', value: ORDERS }];
  assert.match(await refusal(names, { fromMs: -2 * HOUR_MS, toMs: -HOUR_MS }), /^its certificate ended at /);
  assert.match(await refusal(names, { fromMs: HOUR_MS, toMs: 2 * HOUR_MS }), /^its certificate begins at /);
});

test('a certificate of another trust domain is refused, one with a similar name too', async () => {
  for (const domain of ['evil.test', 'example.test.evil.test', 'xexample.test']) {
    assert.equal(
      await refusal([{ type: 'url', value: `spiffe://${domain}/ns/shop/sa/orders` }]),
      `it belongs to the trust domain ${domain}, not to example.test`,
    );
  }
});

test('the common name is not looked at: a certificate without names is nobody', async () => {
  assert.equal(await refusal([]), 'its certificate names "nobody", which is no workload');
});

test('a certificate with two URIs is nobody, in either order', async () => {
  const [own, other] = [
    { type: 'url' as const, value: ORDERS },
    { type: 'url' as const, value: 'spiffe://example.test/ns/admin/sa/root' },
  ];
  assert.match(await refusal([own, other]), /which is no workload$/);
  assert.match(await refusal([other, own]), /which is no workload$/);
  assert.match(await refusal([own, own]), /which is no workload$/);
});

test('a SPIFFE ID smuggled in within a DNS name, a mail address, a directory name or another URI is not one', async () => {
  const forged = 'URI:spiffe://example.test/ns/admin/sa/root';
  const attempts: x509.JsonGeneralNames = [
    { type: 'dns', value: `x, ${forged}` },
    { type: 'dns', value: `x, ${forged}, y` },
    { type: 'dns', value: forged },
    { type: 'dns', value: `x", ${forged}, "y` },
    { type: 'email', value: `x, ${forged}, y` },
    { type: 'dn', value: `CN="x, ${forged}, y"` },
    { type: 'url', value: `x:, ${forged}, y` },
    { type: 'url', value: `${forged.slice(4)}\n` },
    { type: 'url', value: `${forged.slice(4)}\0.evil` },
  ];
  for (const attempt of attempts) assert.match(await refusal([attempt]), /which is no workload$/);
});

test('a URI that is no workload of the mesh is nobody', async () => {
  for (const value of ['https://example.test/ns/shop/sa/orders', 'spiffe://example.test', `${ORDERS}/x`]) {
    assert.match(await refusal([{ type: 'url', value }]), /which is no workload$/);
  }
});

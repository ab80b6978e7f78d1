import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { before, test } from 'node:test';
import { type TestAuthority, testAuthority } from './authority.fixture.ts';
import { readIdentity } from './read-identity.ts';

let authority: TestAuthority;
before(async () => {
  authority = await testAuthority();
});

test('certificate, key and bundle are an identity, with its names and its dates', async () => {
  const { keyPem, chainPem } = await authority.issue('shop/orders');
  const leaf = new X509Certificate(chainPem);
  assert.deepEqual(readIdentity(chainPem, keyPem, authority.bundlePem), {
    workload: 'shop/orders',
    spiffeId: 'spiffe://mesh.local/ns/shop/sa/orders',
    trustDomain: 'mesh.local',
    keyPem,
    chainPem,
    bundlePem: authority.bundlePem,
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
    rootNotAfter: Date.parse(new X509Certificate(authority.bundlePem).validTo),
  });
});

test('of a chain and of a bundle, more than one certificate may come', async () => {
  const { keyPem, chainPem } = await authority.issue('shop/orders');
  const other = await testAuthority();
  const bundlePem = authority.bundlePem + other.bundlePem;
  const identity = readIdentity(chainPem + authority.bundlePem, keyPem, bundlePem);
  assert.equal(identity.workload, 'shop/orders', 'the leaf is first');
  assert.equal(identity.bundlePem, bundlePem);
});

test('a certificate that names no workload, or two, is refused, and what it names is told', async () => {
  const url = (value: string) => ({ type: 'url' as const, value });
  const cases: [Parameters<TestAuthority['issue']>[1], string][] = [
    [{ names: [{ type: 'dns', value: 'orders.test' }] }, 'DNS:orders.test'],
    [{ names: [url('spiffe://mesh.local/orders')] }, 'URI:spiffe://mesh.local/orders'],
    [
      { names: [url('spiffe://mesh.local/ns/a/sa/b'), url('spiffe://mesh.local/ns/c/sa/d')] },
      'URI:spiffe://mesh.local/ns/a/sa/b, URI:spiffe://mesh.local/ns/c/sa/d',
    ],
  ];
  for (const [options, shown] of cases) {
    const { keyPem, chainPem } = await authority.issue('', options);
    assert.throws(() => readIdentity(chainPem, keyPem, authority.bundlePem), {
      message: `the certificate has no workload identity: its SAN is "${shown}", not one URI spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT`,
    });
  }
});

test('which part cannot be read is said, and the key is not', async () => {
  const { keyPem, chainPem } = await authority.issue('shop/orders');
  const { bundlePem } = authority;
  const half = (pem: string) => pem.slice(0, pem.length / 2);
  const told = (parts: [string, string, string], message: RegExp) =>
    assert.throws(
      () => readIdentity(...parts),
      (error: Error) => message.test(error.message) && !error.message.includes(half(keyPem).slice(40, 60)),
    );
  for (const broken of ['', 'garbage', '-----BEGIN CERTIFICATE-----\n']) {
    told([broken, keyPem, bundlePem], /^the certificate is not PEM that can be read: /);
    told([chainPem, broken, bundlePem], /^the key is not PEM that can be read: /);
    told([chainPem, keyPem, broken], /^the bundle of trusted roots is not PEM that can be read: /);
  }
  told([half(chainPem), keyPem, bundlePem], /^the certificate is not PEM/);
  told([chainPem, half(keyPem), bundlePem], /^the key is not PEM/);
  told([chainPem, keyPem, half(bundlePem)], /^the bundle of trusted roots is not PEM/);
});

test("another certificate's key is refused: half of a renewal is no identity", async () => {
  const { chainPem } = await authority.issue('shop/orders');
  const { keyPem } = await authority.issue('shop/orders');
  assert.throws(() => readIdentity(chainPem, keyPem, authority.bundlePem), {
    message: 'the key is not that of the certificate',
  });
});

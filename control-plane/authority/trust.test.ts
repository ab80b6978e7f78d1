import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import { createRoot, issueLeaf, splitPem } from './certificates.ts';
import { testSigner } from './signers.fixture.ts';
import { readTrust } from './trust.ts';

test('an intermediate with a key of any usual kind signs leaves that come with the chain to the root', async () => {
  for (const [rootKind, kind] of [
    ['rsa', 'p256'],
    ['p256', 'rsa'],
    ['p384', 'p384'],
  ] as const) {
    const root = await testSigner(rootKind);
    const middle = await testSigner(kind, root);
    // cert-manager may write the root as the last of the chain: peers have it already.
    const certificatePem = `${middle.certificatePem}${root.certificatePem}`;
    const trust = await readTrust(root.certificatePem, { ...middle, certificatePem });
    const { csrPem } = createCertificateRequest();
    const { chainPem } = await issueLeaf(trust.signer, 'mesh.local', 'shop/orders', csrPem, 60_000);
    const [leaf, above, ...more] = splitPem(chainPem);
    assert.ok(leaf && above && more.length === 0, 'the root is not sent along');
    assert.ok(leaf.checkIssued(above) && leaf.verify(above.publicKey), kind);
    assert.equal(above.fingerprint256, new X509Certificate(middle.certificatePem).fingerprint256);
  }
});

test('a root that signs itself sends none along', async () => {
  const root = await createRoot('mesh.local');
  const trust = await readTrust(root.certificatePem, root);
  assert.equal(trust.signer.intermediatesPem, '');
});

test('what peers would not believe, or cannot sign, is refused and said', async () => {
  const root = await testSigner('p256');
  const other = await testSigner('p256');
  const middle = await testSigner('p256', root);
  const roots = root.certificatePem;
  await assert.rejects(readTrust(other.certificatePem, middle), /leads to none of the trusted roots/);
  await assert.rejects(readTrust('', root), /leads to none of the trusted roots/);
  await assert.rejects(readTrust(roots, { ...root, keyPem: other.keyPem }), /key is not that of its cert/);
  await assert.rejects(readTrust(roots, { ...root, certificatePem: 'garbage' }), /is not PEM/);
  const leaf = await testSigner('p256', root, { ca: false });
  await assert.rejects(readTrust(roots, leaf), /it is no CA/);
  const odd = await testSigner('p521');
  await assert.rejects(readTrust(odd.certificatePem, odd), /neither ECDSA P-256 or P-384 nor RSA/);
});

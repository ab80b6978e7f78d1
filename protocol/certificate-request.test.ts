import 'reflect-metadata';
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';
import { test } from 'node:test';
import * as x509 from '@peculiar/x509';
import { createCertificateRequest } from './certificate-request.ts';

x509.cryptoProvider.set(webcrypto as Crypto);

test('the request is PKCS#10 that a library for certificates reads, signed by its own key', async () => {
  // Signatures differ in their length: 70 to 72 bytes.
  for (let i = 0; i < 20; i++) {
    const csr = new x509.Pkcs10CertificateRequest(createCertificateRequest().csrPem);
    assert.equal(await csr.verify(), true);
    assert.equal(csr.subject, '');
    assert.equal(csr.attributes.length, 0);
    assert.deepEqual({ ...csr.publicKey.algorithm }, { name: 'ECDSA', namedCurve: 'P-256' });
    assert.deepEqual(csr.signatureAlgorithm.hash, { name: 'SHA-256' });
  }
});

test('the key that is kept belongs to the request', () => {
  const { keyPem, csrPem } = createCertificateRequest();
  const key = createPrivateKey(keyPem);
  assert.equal(key.asymmetricKeyType, 'ec');
  const own = createPublicKey(keyPem).export({ format: 'der', type: 'spki' });
  const asked = Buffer.from(new x509.Pkcs10CertificateRequest(csrPem).publicKey.rawData);
  assert.deepEqual(asked, own);
});

test('each request has a new key, and the private key is nowhere in the request', () => {
  const [one, other] = [createCertificateRequest(), createCertificateRequest()];
  assert.notEqual(one.keyPem, other.keyPem);
  const { d = '' } = createPrivateKey(one.keyPem).export({ format: 'jwk' });
  const secret = Buffer.from(d, 'base64url');
  assert.equal(secret.length, 32);
  const request = Buffer.from(one.csrPem.replace(/-----[^-]+-----|\n/g, ''), 'base64');
  assert.ok(!request.includes(secret));
});

test('a request whose key was exchanged on its way does not verify', async () => {
  const der = Buffer.from(createCertificateRequest().csrPem.replace(/-----[^-]+-----|\n/g, ''), 'base64');
  const other = Buffer.from(createCertificateRequest().csrPem.replace(/-----[^-]+-----|\n/g, ''), 'base64');
  const key = Buffer.from(new x509.Pkcs10CertificateRequest(der).publicKey.rawData);
  const otherKey = Buffer.from(new x509.Pkcs10CertificateRequest(other).publicKey.rawData);
  otherKey.copy(der, der.indexOf(key));
  assert.equal(await new x509.Pkcs10CertificateRequest(der).verify(), false);
});

test('PEM lines have at most 64 characters (RFC 7468 section 2)', () => {
  const lines = createCertificateRequest().csrPem.split('\n');
  assert.equal(lines[0], '-----BEGIN CERTIFICATE REQUEST-----');
  assert.deepEqual(lines.slice(-2), ['-----END CERTIFICATE REQUEST-----', '']);
  const body = lines.slice(1, -2);
  assert.ok(body.every((line) => /^[A-Za-z0-9+/=]{1,64}$/.test(line)));
  assert.ok(body.slice(0, -1).every((line) => line.length === 64));
});

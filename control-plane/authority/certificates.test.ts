import 'reflect-metadata';
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto';
import { before, test } from 'node:test';
import * as x509 from '@peculiar/x509';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import { AuthorityError } from './authority-error.ts';
import { createRoot, issueLeaf, loadSigner, type Signer } from './certificates.ts';

const HOUR_MS = 3_600_000;
const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const P384 = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
};

let root: Signer;
let rootPem: string;
before(async () => {
  const stored = await createRoot('mesh.local');
  rootPem = stored.certificatePem;
  root = await loadSigner(stored);
});

const issue = async (csrPem: string, workload = 'shop/orders') =>
  (await issueLeaf(root, 'mesh.local', workload, csrPem, HOUR_MS)).chainPem;

/** A request by the library that others use, as an attacker would make one. */
async function request(
  algorithm: typeof P256 | typeof RSA,
  more: Partial<x509.Pkcs10CertificateRequestCreateParams> = {},
): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: algorithm,
    ...more,
  });
  return made.toString('pem');
}

const derOf = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
const pemOf = (der: Uint8Array) =>
  `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;

/** Why a request is refused. */
async function refusal(csrPem: string): Promise<string> {
  try {
    await issue(csrPem);
  } catch (error) {
    assert.ok(error instanceof AuthorityError, `${error}`);
    assert.equal(error.code, 'ERR_CSR');
    return error.message;
  }
  throw new assert.AssertionError({ message: 'a certificate was given' });
}

test('a leaf is signed by the root, and is no authority itself', async () => {
  const leaf = new X509Certificate(await issue(createCertificateRequest().csrPem));
  const authority = new X509Certificate(rootPem);
  assert.ok(leaf.checkIssued(authority));
  assert.ok(leaf.verify(authority.publicKey));
  assert.equal(leaf.ca, false);
  assert.equal(
    leaf.verify(new X509Certificate((await createRoot('mesh.local')).certificatePem).publicKey),
    false,
  );
});

test('a leaf names one URI and nothing else, critically, and serves TLS on both sides only', async () => {
  const pem = await issue(createCertificateRequest().csrPem);
  const leaf = new X509Certificate(pem);
  assert.equal(leaf.subjectAltName, 'URI:spiffe://mesh.local/ns/shop/sa/orders');
  assert.equal(leaf.subject ?? '', '');
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  const parsed = new x509.X509Certificate(pem);
  const san = parsed.getExtension(x509.SubjectAlternativeNameExtension);
  assert.equal(san?.critical, true);
  assert.equal(san?.names.items.length, 1);
  const usage = parsed.getExtension(x509.KeyUsagesExtension);
  assert.equal(usage?.usages, x509.KeyUsageFlags.digitalSignature);
  assert.equal(usage?.critical, true);
  const constraints = parsed.getExtension(x509.BasicConstraintsExtension);
  assert.deepEqual([constraints?.ca, constraints?.critical], [false, true]);
});

test('the root may sign leaves and no further authorities', async () => {
  const parsed = new x509.X509Certificate(rootPem);
  const constraints = parsed.getExtension(x509.BasicConstraintsExtension);
  assert.deepEqual([constraints?.ca, constraints?.pathLength, constraints?.critical], [true, 0, true]);
  assert.equal(
    parsed.getExtension(x509.KeyUsagesExtension)?.usages,
    x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
  );
});

test('a leaf has the key of the request, and a serial number of its own', async () => {
  const { csrPem, keyPem } = createCertificateRequest();
  const serials = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const leaf = new X509Certificate(await issue(csrPem));
    const { publicKey } = new X509Certificate(await issue(csrPem));
    assert.ok(leaf.publicKey.equals(publicKey));
    serials.add(leaf.serialNumber);
  }
  assert.equal(serials.size, 20);
  for (const serial of serials) assert.match(serial, /^[4-7][0-9A-F]{31}$/, 'positive, 16 bytes');
  assert.ok(new X509Certificate(await issue(csrPem)).checkPrivateKey(createPrivateKey(keyPem)));
});

test('an attacker who asks for more names, other usages or to be an authority gets none of it', async () => {
  const csr = await request(P256, {
    name: 'CN=control-plane, O=Bank',
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'url', value: 'spiffe://mesh.local/ns/tulle-system/sa/control-plane' },
        { type: 'dns', value: 'bank.example' },
      ]),
      new x509.BasicConstraintsExtension(true, 3, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.codeSigning]),
    ],
  });
  const pem = await issue(csr);
  const leaf = new X509Certificate(pem);
  assert.equal(leaf.subjectAltName, 'URI:spiffe://mesh.local/ns/shop/sa/orders');
  assert.equal(leaf.subject ?? '', '');
  assert.equal(leaf.ca, false);
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.equal(
    new x509.X509Certificate(pem).getExtension(x509.KeyUsagesExtension)?.usages,
    x509.KeyUsageFlags.digitalSignature,
  );
});

test('a key of another kind than ECDSA P-256 is refused', async () => {
  const message = 'the key of the certificate request is not ECDSA P-256';
  assert.equal(await refusal(await request(RSA)), message);
  assert.equal(await refusal(await request(P384)), message);
});

test("an attacker who has a certificate's public key but not its private key is refused", async () => {
  const victim = derOf(createCertificateRequest().csrPem);
  const attacker = derOf(createCertificateRequest().csrPem);
  const spki = (der: Buffer) => der.indexOf(Buffer.from('3059301306072a8648ce3d0201', 'hex'));
  victim.copy(attacker, spki(attacker), spki(victim), spki(victim) + 91);
  assert.equal(await refusal(pemOf(attacker)), 'the certificate request is not signed by its own key');
  assert.match(await issue(pemOf(victim)), /BEGIN CERTIFICATE/);
});

test('a signature that was changed is refused', async () => {
  const der = derOf(createCertificateRequest().csrPem);
  const at = der.length - 3;
  der.writeUInt8(der.readUInt8(at) ^ 1, at);
  assert.equal(await refusal(pemOf(der)), 'the certificate request is not signed by its own key');
});

test('what is no certificate request is refused', async () => {
  const message = 'the certificate request is not PKCS#10 in PEM';
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  for (const text of ['', 'garbage', pemOf(new Uint8Array()), pemOf(Buffer.from('garbage')), key, rootPem])
    assert.equal(await refusal(text), message, text);
  const { csrPem } = createCertificateRequest();
  assert.equal(await refusal(csrPem.padEnd(8193)), 'the certificate request has more than 8192 bytes');
});

test('whatever byte of a request is changed or cut off, it is refused in the same way: never another error', async () => {
  const der = derOf(createCertificateRequest().csrPem);
  for (let at = 0; at < der.length; at++) {
    const changed = Buffer.from(der);
    changed.writeUInt8(der.readUInt8(at) ^ 0x41, at);
    assert.match(
      await refusal(pemOf(changed)),
      /^the (key of the )?certificate request is not/,
      `byte ${at}`,
    );
    assert.match(
      await refusal(pemOf(der.subarray(0, at))),
      /^the certificate request is not/,
      `cut at ${at}`,
    );
  }
});

test('a workload whose name would change the URI gets no certificate', async () => {
  const { csrPem } = createCertificateRequest();
  for (const name of ['shop', 'shop/orders/../bank', 'shop/orders?x', 'SHOP/orders', '', 'shop/a b'])
    await assert.rejects(issue(csrPem, name), { name: 'TypeError' });
});

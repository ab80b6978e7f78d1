import 'reflect-metadata';
import { createPrivateKey, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { StoredRoot } from './authority-store.ts';

x509.cryptoProvider.set(webcrypto as Crypto);

const SIGNER_KEYS = {
  p256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  rsa: {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
  p521: { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' },
} as const;

export interface TestSigner extends StoredRoot {
  readonly certificate: x509.X509Certificate;
  readonly algorithm: (typeof SIGNER_KEYS)[keyof typeof SIGNER_KEYS];
  readonly keys: webcrypto.CryptoKeyPair;
}

/** For tests: a CA as others make them; `above` signs it, without it it is a root. */
export async function testSigner(
  kind: keyof typeof SIGNER_KEYS,
  above?: TestSigner,
  { ca = true } = {},
): Promise<TestSigner> {
  const algorithm = SIGNER_KEYS[kind];
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const name = `CN=${above === undefined ? 'Root' : 'Intermediate'} ${kind}`;
  const parameters = {
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [
      new x509.BasicConstraintsExtension(ca, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  };
  const certificate =
    above === undefined
      ? await x509.X509CertificateGenerator.createSelfSigned({
          ...parameters,
          name,
          keys,
          signingAlgorithm: algorithm,
        })
      : await x509.X509CertificateGenerator.create({
          ...parameters,
          subject: name,
          issuer: above.certificate.subject,
          publicKey: keys.publicKey,
          signingKey: above.keys.privateKey,
          signingAlgorithm: above.algorithm,
        });
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return {
    certificate,
    algorithm,
    keys,
    certificatePem: `${certificate.toString('pem')}\n`,
    keyPem: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

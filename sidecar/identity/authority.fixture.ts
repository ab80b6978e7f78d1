import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { createCertificateRequest } from '../../protocol/certificate-request.ts';
import type { Identity } from './identity.ts';
import { readIdentity } from './read-identity.ts';

x509.cryptoProvider.set(webcrypto as Crypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;

export interface LeafOptions {
  /** Name the leaf instead of the workload's URI. */
  readonly names?: x509.JsonGeneralNames;
  /** Whose key is signed; without it, one is made. */
  readonly csrPem?: string;
  readonly lifeMs?: number;
}

/** For tests: an authority that signs what it is told, be it right or wrong. */
export interface TestAuthority {
  readonly bundlePem: string;
  issue(workload: string, options?: LeafOptions): Promise<{ keyPem: string; chainPem: string }>;
  identity(workload: string): Promise<Identity>;
}

export async function testAuthority(trustDomain = 'mesh.local'): Promise<TestAuthority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);
  const now = Date.now();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=Root of ${trustDomain}`,
    notBefore: new Date(now - HOUR_MS),
    notAfter: new Date(now + HOUR_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  const bundlePem = `${root.toString('pem')}\n`;
  const issue: TestAuthority['issue'] = async (workload, { names, csrPem, lifeMs = HOUR_MS } = {}) => {
    const made = createCertificateRequest();
    const [namespace, serviceAccount] = workload.split('/');
    const uri = `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
    const leaf = await x509.X509CertificateGenerator.create({
      subject: '',
      issuer: root.subject,
      notBefore: new Date(now - HOUR_MS),
      notAfter: new Date(Date.now() + lifeMs),
      publicKey: new x509.Pkcs10CertificateRequest(csrPem ?? made.csrPem).publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.SubjectAlternativeNameExtension(names ?? [{ type: 'url', value: uri }], true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
      ],
    });
    return { keyPem: made.keyPem, chainPem: `${leaf.toString('pem')}\n` };
  };
  return {
    bundlePem,
    issue,
    async identity(workload) {
      const { keyPem, chainPem } = await issue(workload);
      return readIdentity(chainPem, keyPem, bundlePem);
    },
  };
}

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { spiffeUri } from '../../protocol/peer.ts';
import { parseSpiffeId } from '../../protocol/spiffe.ts';
import type { Identity } from './identity.ts';

/** Certificate, key and bundle as an identity. Throws an Error that says what is wrong with them. */
export function readIdentity(chainPem: string, keyPem: string, bundlePem: string): Identity {
  const leaf = read('the certificate', () => new X509Certificate(chainPem));
  const uri = spiffeUri(leaf);
  const id = uri === undefined ? undefined : parseSpiffeId(uri);
  if (uri === undefined || id === undefined) {
    throw new Error(
      `the certificate has no workload identity: its SAN is "${leaf.subjectAltName ?? ''}", not one URI spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT`,
    );
  }
  const key = read('the key', () => createPrivateKey(keyPem));
  // Files are written one after the other: half of a renewal is no identity.
  if (!leaf.checkPrivateKey(key)) throw new Error('the key is not that of the certificate');
  const roots = read('the bundle of trusted roots', () => certificates(bundlePem));
  return {
    workload: `${id.namespace}/${id.serviceAccount}`,
    spiffeId: uri,
    trustDomain: id.trustDomain,
    keyPem,
    chainPem,
    bundlePem,
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    rootNotAfter: Math.min(...roots.map(({ validToDate }) => validToDate.getTime())),
  };
}

function read<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Error(`${what} is not PEM that can be read: ${error instanceof Error ? error.message : error}`);
  }
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** All certificates of a PEM text. Throws an Error if there is none, or one cannot be read. */
export function certificates(pem: string): X509Certificate[] {
  const blocks = pem.match(BLOCK);
  if (blocks === null) throw new Error('there is no certificate in it');
  return blocks.map((block) => new X509Certificate(block));
}

import { X509Certificate } from 'node:crypto';
import { spiffeUri } from '../../protocol/peer.ts';
import { parseSpiffeId } from '../../protocol/spiffe.ts';
import type { Identity } from './identity.ts';

/** Certificate, key and bundle as an identity. Throws an Error that says what is wrong with them. */
export function readIdentity(chainPem: string, keyPem: string, bundlePem: string): Identity {
  const leaf = new X509Certificate(chainPem);
  const uri = spiffeUri(leaf);
  const id = uri === undefined ? undefined : parseSpiffeId(uri);
  if (uri === undefined || id === undefined) {
    throw new Error(
      `the certificate has no workload identity: its SAN is "${leaf.subjectAltName ?? ''}", not one URI spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT`,
    );
  }
  return {
    workload: `${id.namespace}/${id.serviceAccount}`,
    spiffeId: uri,
    trustDomain: id.trustDomain,
    keyPem,
    chainPem,
    bundlePem,
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
  };
}

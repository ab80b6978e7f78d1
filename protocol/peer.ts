import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { parseSpiffeId } from './spiffe.ts';
import { subjectUris } from './subject-uris.ts';

/** The one URI among the subject's names, or undefined: two would leave it to the reader whom to believe. */
export function spiffeUri(certificate: X509Certificate): string | undefined {
  const uris = subjectUris(certificate);
  return uris.length === 1 ? uris[0] : undefined;
}

/**
 * The workload at the other end, `namespace/serviceaccount`, or why it is not believed. The chain was
 * checked by the handshake; the dates are looked at again, since a resumed session is not checked anew.
 */
export function peerWorkload(
  socket: TLSSocket,
  trustDomain: string,
): { workload: string; notAfter: number } | { refused: string } {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { refused: 'it presented no certificate' };
  const now = Date.now();
  if (now > certificate.validToDate.getTime())
    return { refused: `its certificate ended at ${certificate.validTo}` };
  if (now < certificate.validFromDate.getTime())
    return { refused: `its certificate begins at ${certificate.validFrom}` };
  const uri = spiffeUri(certificate);
  const id = uri === undefined ? undefined : parseSpiffeId(uri);
  if (id === undefined)
    return {
      refused: `its certificate names "${certificate.subjectAltName ?? 'nobody'}", which is no workload`,
    };
  if (id.trustDomain !== trustDomain)
    return { refused: `it belongs to the trust domain ${id.trustDomain}, not to ${trustDomain}` };
  return { workload: `${id.namespace}/${id.serviceAccount}`, notAfter: certificate.validToDate.getTime() };
}

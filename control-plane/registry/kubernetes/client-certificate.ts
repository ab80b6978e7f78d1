import type { ListenerCertificate } from '../../../protocol/gateway.ts';
import type { Problem } from '../../../protocol/problem.ts';
import { clientCertificateRef } from './gateway-listeners.ts';
import type { KeptDocument } from './kept-objects.ts';
import { type CertificateWorld, resolveCertificate } from './listener-certificates.ts';
import { namerOf } from './reference-grants.ts';

export interface ClientCertificateFault {
  readonly reason: 'InvalidClientCertificateRef' | 'RefNotPermitted';
  readonly problem: Problem;
}

/** What becomes of `spec.tls.backend.clientCertificateRef`. */
export interface CheckedClientCertificate {
  readonly certificate?: ListenerCertificate;
  /** Why there is none; one at most. */
  readonly wrong: readonly ClientCertificateFault[];
  /** It has not been read yet. */
  readonly pending: boolean;
}

/** The certificate that a Gateway presents to backends, or why it cannot be used; undefined: it names none. */
export function checkClientCertificate(
  document: KeptDocument,
  world: CertificateWorld,
): CheckedClientCertificate | undefined {
  const ref = clientCertificateRef(document);
  if (ref === undefined) return undefined;
  const { certificate, wrong, pending = false } = resolveCertificate(ref, namerOf(document), world);
  if (certificate !== undefined) return { certificate, wrong: [], pending };
  if (wrong === undefined) return { wrong: [], pending };
  const { reason, value, message } = wrong;
  const problem: Problem = {
    severity: 'error',
    field: 'spec.tls.backend.clientCertificateRef',
    value,
    message,
    meant: 'name a Secret of type kubernetes.io/tls',
  };
  const isPermitted = reason !== 'RefNotPermitted';
  return { wrong: [{ reason: isPermitted ? 'InvalidClientCertificateRef' : reason, problem }], pending };
}

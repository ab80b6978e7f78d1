import { X509Certificate } from 'node:crypto';
import type { NamedKind } from './named-reader.ts';

/** What is known of a ConfigMap that a BackendTLSPolicy or a Gateway names; undefined: it has not been read yet. */
export type AuthorityState = { readonly pem: string } | { readonly wrong: string } | undefined;

/** ConfigMaps with certificates of authorities. */
export const AUTHORITIES: NamedKind<{ readonly pem: string }> = {
  plural: 'configmaps',
  // Sooner than Secrets: calls fail while a new authority is not known.
  rereadMs: 10_000,
  forbidden: 'may not be read by the control plane: its role lacks get of configmaps',
  read: readAuthorities,
};

/** Nothing of a certificate has a dash: one that is not ended is not looked for further. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function readAuthorities(configMap: unknown): NonNullable<AuthorityState> {
  const { data } = configMap as { data?: Record<string, string> }; // the API server checked it
  const text = data?.['ca.crt'];
  if (text === undefined) return { wrong: 'has no ca.crt' };
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) return { wrong: 'has no certificate in PEM in ca.crt' };
  const index = certificates.findIndex((pem) => !isCertificate(pem));
  if (index >= 0) return { wrong: `has a certificate in ca.crt that cannot be read, number ${index + 1}` };
  return { pem: `${certificates.join('\n')}\n` };
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

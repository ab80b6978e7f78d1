import { hash, X509Certificate } from 'node:crypto';
import type { ClientAuthorities } from '../../protocol/gateway.ts';

/** Who vouches for the clients of a listener, ready to check them. */
export interface ClientCheck {
  /** The same for the same check. */
  readonly id: string;
  /** PEM, one certificate in each, and one at least. */
  readonly authorities: readonly string[];
  /** Whoever has no valid certificate is refused. */
  readonly required: boolean;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Throws an Error that says why clients cannot be checked. OpenSSL would pass over what it cannot read: with nothing
 * left to check by, it must not look as if nothing were asked.
 */
export function readClientAuthorities({ certificates, mode }: ClientAuthorities): ClientCheck {
  const authorities = certificates.flatMap((pem) => pem.match(CERTIFICATE) ?? ['']);
  if (authorities.length === 0) throw new Error('it has no certificate of an authority');
  for (const pem of authorities) {
    try {
      new X509Certificate(pem);
    } catch {
      throw new Error('a certificate of an authority is not PEM that can be read');
    }
  }
  const id = hash('sha256', `${mode}\n${authorities.join('\n')}`);
  return { id, authorities, required: mode !== 'AllowInsecureFallback' };
}

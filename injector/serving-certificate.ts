import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as Crypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Clocks of API servers may be behind by so much. */
const BACKDATE_MS = 3_600_000;
/** Renewed at this share of its life. */
const RENEW_AT = 2 / 3;

/** Certificate and key in PEM. */
export interface ServingCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

/**
 * Makes a certificate for the webhook's names (DNS names or addresses), signed by its own key: who calls it is given
 * the certificate itself to trust, so that no key exists which could sign another.
 */
export async function issueServingCertificate(
  names: readonly string[],
  lifeMs: number,
  nowMs = Date.now(),
): Promise<ServingCertificate> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: `4${randomBytes(16).toString('hex').slice(1)}`,
    name: 'CN=Tulle injector',
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + lifeMs),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      // No key usage: with digitalSignature alone, OpenSSL does not take the certificate for issued by itself.
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const keyPem = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();
  return { certificatePem: `${certificate.toString('pem')}\n`, keyPem };
}

/** What is asked of a certificate that somebody has stored. Times in ms since 1970. */
export interface Validity {
  readonly endsMs: number;
  readonly renewMs: number;
  /** Whether it holds for a DNS name or address. */
  holdsFor(name: string): boolean;
}

/** Reads a stored certificate and checks that the key is its own; undefined if it cannot serve. */
export function validityOf({ certificatePem, keyPem }: ServingCertificate): Validity | undefined {
  try {
    const certificate = new X509Certificate(certificatePem);
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return undefined;
    const [startsMs, endsMs] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
    return {
      endsMs,
      renewMs: startsMs + (endsMs - startsMs) * RENEW_AT,
      holdsFor: (name) =>
        (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined,
    };
  } catch {
    return undefined;
  }
}

/** The certificates of a bundle that have not ended, each once, as one PEM. */
export function livingBundle(pems: readonly string[], nowMs: number): string {
  const all = pems.flatMap(
    (pem) => pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [],
  );
  const living = all.filter((pem) => {
    try {
      return new X509Certificate(pem).validToDate.getTime() > nowMs;
    } catch {
      return false;
    }
  });
  return [...new Set(living)].map((pem) => `${pem}\n`).join('');
}

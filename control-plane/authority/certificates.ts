import 'reflect-metadata';
import { createPrivateKey, type KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { spiffeId } from '../../protocol/spiffe.ts';
import { AuthorityError } from './authority-error.ts';
import type { StoredRoot } from './authority-store.ts';

x509.cryptoProvider.set(webcrypto as Crypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** Roots of our own are P-256; a given signer may have another key. */
const P384 = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' } as const;
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const;
const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const ROOT_LIFE_MS = 10 * 365 * 24 * 3_600_000;
/** Clocks of peers may be behind by so much. */
const BACKDATE_MS = 5 * 60_000;
const MAX_CSR = 8192;
const CLIENT_AND_SERVER = [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth];

/** A root, or an intermediate below one, that can sign. */
export interface Signer {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
  readonly algorithm: Algorithm;
  /** Certificates between a leaf and its root, in PEM; empty if the root itself signs. */
  readonly intermediatesPem: string;
}

type Algorithm = typeof ALGORITHM | typeof P384 | typeof RSA;

/** 128 random bits, positive as RFC 5280 section 4.1.2.2 asks. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** Makes the root of a trust domain. */
export async function createRoot(trustDomain: string): Promise<StoredRoot> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=Tulle root of ${trustDomain}`,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + ROOT_LIFE_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const keyPem = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();
  return { certificatePem: `${certificate.toString('pem')}\n`, keyPem };
}

/**
 * Makes a signer of a certificate, followed by those between it and its root, and its key. Throws an Error
 * that says why it can be none.
 */
export async function loadSigner(stored: StoredRoot): Promise<Signer> {
  const chain = splitPem(stored.certificatePem);
  const [own] = chain;
  if (own === undefined) throw new Error("the authority's certificate is not PEM");
  const key = createPrivateKey(stored.keyPem);
  if (!own.checkPrivateKey(key)) throw new Error("the authority's key is not that of its certificate");
  if (!own.ca) throw new Error("the authority's certificate may not sign others: it is no CA");
  const algorithm = algorithmOf(key);
  const der = key.export({ format: 'der', type: 'pkcs8' });
  return {
    certificate: new x509.X509Certificate(own.raw),
    key: await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']),
    algorithm,
    intermediatesPem: chain
      .filter((certificate) => !certificate.checkIssued(certificate))
      .map((certificate) => certificate.toString())
      .join(''),
  };
}

/** All certificates of a PEM text. Throws an Error if one cannot be read. */
export function splitPem(pem: string): X509Certificate[] {
  return (pem.match(BLOCK) ?? []).map((block) => new X509Certificate(block));
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): Algorithm {
  if (asymmetricKeyType === 'rsa') return RSA;
  if (asymmetricKeyDetails?.namedCurve === 'prime256v1') return ALGORITHM;
  if (asymmetricKeyDetails?.namedCurve === 'secp384r1') return P384;
  throw new Error("the authority's key is neither ECDSA P-256 or P-384 nor RSA");
}

/**
 * Signs a leaf for `workload` with the key of `csrPem`. The names that the request asks for are not
 * looked at: who it is was proved otherwise. Throws AuthorityError (ERR_CSR).
 */
export async function issueLeaf(
  signer: Signer,
  trustDomain: string,
  workload: string,
  csrPem: string,
  lifeMs: number,
): Promise<{ chainPem: string; notAfter: Date }> {
  const publicKey = await readRequest(csrPem);
  const now = Date.now();
  const notAfter = new Date(Math.min(now + lifeMs, signer.certificate.notAfter.getTime()));
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: '',
    issuer: signer.certificate.subject,
    notBefore: new Date(now - Math.min(BACKDATE_MS, lifeMs)),
    notAfter,
    publicKey,
    signingKey: signer.key,
    signingAlgorithm: signer.algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(CLIENT_AND_SERVER),
      // Critical, since the subject is empty (RFC 5280 section 4.2.1.6).
      new x509.SubjectAlternativeNameExtension(
        [{ type: 'url', value: spiffeId(trustDomain, workload) }],
        true,
      ),
      await x509.AuthorityKeyIdentifierExtension.create(signer.certificate.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return { chainPem: `${leaf.toString('pem')}\n${signer.intermediatesPem}`, notAfter: leaf.notAfter };
}

/** The public key of a signing request that its sender has the private key of. */
async function readRequest(csrPem: string): Promise<x509.PublicKey> {
  if (csrPem.length > MAX_CSR)
    throw new AuthorityError('ERR_CSR', `the certificate request has more than ${MAX_CSR} bytes`);
  let request: x509.Pkcs10CertificateRequest;
  let algorithm: x509.PublicKey['algorithm'];
  try {
    request = new x509.Pkcs10CertificateRequest(csrPem);
    ({ algorithm } = request.publicKey); // read when it is asked for
  } catch {
    throw new AuthorityError('ERR_CSR', 'the certificate request is not PKCS#10 in PEM');
  }
  if (algorithm.name !== 'ECDSA' || !('namedCurve' in algorithm) || algorithm.namedCurve !== 'P-256') {
    throw new AuthorityError('ERR_CSR', 'the key of the certificate request is not ECDSA P-256');
  }
  const proved = await request.verify().catch(() => false);
  if (!proved) throw new AuthorityError('ERR_CSR', 'the certificate request is not signed by its own key');
  return request.publicKey;
}

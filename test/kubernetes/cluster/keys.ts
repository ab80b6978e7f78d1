import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as Crypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const LIFE_MS = 365 * 24 * 3_600_000;

interface Authority {
  readonly subject: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

/** Names and addresses of a certificate's holder. */
interface Holder {
  /** The user's name, and groups as organizations. */
  readonly subject: string;
  readonly dns: readonly string[];
  readonly ips: readonly string[];
}

/**
 * Writes a cluster's keys into `folder`: ca, server, admin, kubelet, front-proxy (.crt and .key) and what signs service
 * account tokens (sa.key, sa.pub).
 */
export async function writeKeys(folder: string, apiServer: readonly string[], node: readonly string[]) {
  const authority = await writeAuthority(folder);
  const local = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  const holders: Record<string, Holder> = {
    server: {
      subject: 'CN=kube-apiserver',
      dns: [...local, 'kubernetes.default.svc.cluster.local'],
      ips: apiServer,
    },
    admin: { subject: 'O=system:masters, CN=admin', dns: [], ips: [] },
    kubelet: { subject: 'O=system:masters, CN=kubelet', dns: ['node'], ips: node },
    'front-proxy': { subject: 'CN=front-proxy', dns: [], ips: [] },
  };
  for (const [name, holder] of Object.entries(holders)) await writeLeaf(folder, name, authority, holder);
  const tokens = await newKeys();
  await writeKey(join(folder, 'sa.key'), tokens.privateKey);
  const spki = await webcrypto.subtle.exportKey('spki', tokens.publicKey);
  writeFileSync(join(folder, 'sa.pub'), pem('PUBLIC KEY', spki));
}

async function writeAuthority(folder: string): Promise<Authority> {
  const keys = await newKeys();
  const subject = 'CN=kubernetes';
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: subject,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  writeFileSync(join(folder, 'ca.crt'), certificate.toString('pem'));
  await writeKey(join(folder, 'ca.key'), keys.privateKey);
  return { subject, keys };
}

async function writeLeaf(folder: string, name: string, authority: Authority, holder: Holder): Promise<void> {
  const keys = await newKeys();
  const names: x509.JsonGeneralName[] = [
    ...holder.dns.map((value) => ({ type: 'dns' as const, value })),
    ...holder.ips.map((value) => ({ type: 'ip' as const, value })),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(),
    subject: holder.subject,
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
      await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
    ],
  });
  writeFileSync(join(folder, `${name}.crt`), certificate.toString('pem'));
  await writeKey(join(folder, `${name}.key`), keys.privateKey);
}

function validity() {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40; // positive (RFC 5280 section 4.1.2.2)
  const now = Date.now();
  return {
    serialNumber: bytes.toString('hex'),
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + LIFE_MS),
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function writeKey(file: string, key: webcrypto.CryptoKey): Promise<void> {
  writeFileSync(file, pem('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', key)), { mode: 0o600 });
}

function pem(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { ListenerCertificate } from '../../../protocol/gateway.ts';
import type { AuthorityState } from './backend-authorities.ts';
import type { CertificateRef } from './gateway-listeners.ts';
import type { KeptDocument } from './kept-objects.ts';
import type { NamedKind } from './named-reader.ts';
import { isGranted, type Namer } from './reference-grants.ts';

/** What is known of a Secret that a Gateway names; undefined: it has not been read yet. */
export type SecretState = ListenerCertificate | { readonly wrong: string } | undefined;

/** What certificates are looked up in. */
export interface CertificateWorld {
  secret(key: string): SecretState;
  /** A ConfigMap. */
  authority(key: string): AuthorityState;
  grantsIn(namespace: string): Iterable<KeptDocument>;
}

interface ResolvedCertificate {
  /** It has not been read yet. */
  readonly pending?: true;
  readonly certificate?: ListenerCertificate;
  readonly wrong?: {
    readonly reason: 'InvalidCertificateRef' | 'RefNotPermitted';
    readonly value: string;
    readonly message: string;
  };
}

/** `namespace/name` of the Secret that is meant, or undefined if it is no Secret. */
export function secretKey(ref: CertificateRef, namespace: string): string | undefined {
  const { group = '', kind = 'Secret', name } = ref;
  return group === '' && kind === 'Secret' ? `${ref.namespace ?? namespace}/${name}` : undefined;
}

/** Whether a Gateway or ListenerSet may use a Secret, or a ConfigMap. */
export function maySee(
  key: string,
  from: Namer,
  grantsIn: CertificateWorld['grantsIn'],
  kind: 'Secret' | 'ConfigMap' = 'Secret',
): boolean {
  const [namespace = '', name = ''] = key.split('/', 2);
  return namespace === from.namespace || isGranted(grantsIn(namespace), from, kind, name);
}

/** The certificate that a Gateway or ListenerSet names, or why it cannot be used. */
export function resolveCertificate(
  ref: CertificateRef,
  from: Namer,
  world: CertificateWorld,
): ResolvedCertificate {
  const key = secretKey(ref, from.namespace);
  if (key === undefined) {
    const value = `${[ref.group ?? '', ref.kind].filter((part) => part !== '').join('/')} ${ref.name}`;
    return { wrong: { reason: 'InvalidCertificateRef', value, message: 'is no Secret' } };
  }
  const value = `Secret ${key}`;
  // Asked first: who may not name it need not learn whether it exists.
  if (!maySee(key, from, (namespace) => world.grantsIn(namespace))) {
    const message = `may not be named by a ${from.kind} of namespace ${from.namespace} without a ReferenceGrant`;
    return { wrong: { reason: 'RefNotPermitted', value, message } };
  }
  const state = world.secret(key);
  if (state === undefined) return { pending: true };
  if ('wrong' in state) return { wrong: { reason: 'InvalidCertificateRef', value, message: state.wrong } };
  return { certificate: state };
}

export const SECRETS: NamedKind<ListenerCertificate> = {
  plural: 'secrets',
  rereadMs: 30_000,
  forbidden: 'may not be read by the control plane: set controlPlane.readSecrets of the chart',
  read: readCertificate,
};

/** Reads a Secret of type kubernetes.io/tls. Never says anything of its content. */
function readCertificate(secret: unknown): NonNullable<SecretState> {
  const { type, data } = secret as { type?: string; data?: Record<string, string> }; // the API server checked it
  if (type !== 'kubernetes.io/tls') return { wrong: 'is not of type kubernetes.io/tls' };
  const certificate = decoded(data?.['tls.crt']);
  const key = decoded(data?.['tls.key']);
  try {
    const leaf = new X509Certificate(certificate);
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return { wrong: 'has a key of another certificate' };
  } catch {
    return { wrong: 'has no certificate and key in PEM in tls.crt and tls.key' };
  }
  return { certificate, key };
}

function decoded(base64: string | undefined): string {
  return Buffer.from(base64 ?? '', 'base64').toString('utf8');
}

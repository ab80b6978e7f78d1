import type { BackendName, BackendTls } from '../../../protocol/backend-tls.ts';
import type { Problem } from '../../../protocol/problem.ts';
import type { AuthorityState } from './backend-authorities.ts';
import type { KeptDocument } from './kept-objects.ts';

interface Spec {
  readonly targetRefs?: readonly TargetRef[];
  readonly validation?: {
    readonly hostname?: string;
    readonly caCertificateRefs?: readonly AuthorityRef[];
    readonly wellKnownCACertificates?: string;
    readonly subjectAltNames?: readonly { type?: string; hostname?: string; uri?: string }[];
  };
}

interface TargetRef {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
  readonly sectionName?: string;
}

interface AuthorityRef {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
}

/** A Service of the policy's namespace, or one port of it. */
export interface BackendTarget {
  /** Its place in `targetRefs`. */
  readonly index: number;
  /** `namespace/name`. */
  readonly service: string;
  /** Name of the port; undefined: all that no other policy names. */
  readonly section: string | undefined;
}

export interface BackendTlsFault {
  readonly reason: 'InvalidCACertificateRef' | 'InvalidKind' | 'Invalid';
  readonly problem: Problem;
}

/** A BackendTLSPolicy, and what becomes of it. */
export interface CheckedBackendTls {
  readonly document: KeptDocument;
  readonly targets: readonly BackendTarget[];
  readonly tls: BackendTls;
  /** References that lead to no authority. */
  readonly unresolved: readonly BackendTlsFault[];
  /** What else makes that it cannot be used. */
  readonly invalid: BackendTlsFault | undefined;
  /** A ConfigMap has not been read yet. */
  readonly pending: boolean;
}

function specOf({ document }: KeptDocument): Spec {
  return (document.spec ?? {}) as Spec; // the API server checked it
}

/** Services are the only kind that is understood. */
function targetsOf(kept: KeptDocument): BackendTarget[] {
  return (specOf(kept).targetRefs ?? []).flatMap(({ group = '', kind, name, sectionName }, index) =>
    group === '' && kind === 'Service'
      ? [{ index, service: `${kept.namespace}/${name}`, section: sectionName }]
      : [],
  );
}

/** Keys of the ConfigMaps that a policy names. */
export function authorityKeys(kept: KeptDocument): string[] {
  return (specOf(kept).validation?.caCertificateRefs ?? []).flatMap((ref) => authorityKey(ref, kept) ?? []);
}

function authorityKey({ group = '', kind, name }: AuthorityRef, { namespace }: KeptDocument) {
  return group === '' && kind === 'ConfigMap' ? `${namespace}/${name}` : undefined;
}

/** Reads a policy; `authority` tells what a ConfigMap holds. */
export function checkBackendTls(
  document: KeptDocument,
  authority: (key: string) => AuthorityState,
): CheckedBackendTls {
  const { validation = {} } = specOf(document);
  const { hostname = '', wellKnownCACertificates } = validation;
  const found = authoritiesOf(document, authority);
  const invalid = wellKnownFault(wellKnownCACertificates);
  const authorities = wellKnownCACertificates === undefined ? found.pem : 'system';
  const broken = invalid ?? (authorities.length === 0 ? found.faults[0] : undefined);
  const why = found.pending ? 'its ConfigMap has not been read yet' : broken && words(broken.problem);
  return {
    document,
    targets: targetsOf(document),
    tls: {
      policy: `${document.namespace}/${document.name}`,
      serverName: hostname.toLowerCase(),
      authorities,
      names: namesOf(validation.subjectAltNames ?? []),
      ...(why !== undefined && { invalid: why }),
    },
    unresolved: found.faults,
    invalid,
    pending: found.pending,
  };
}

function authoritiesOf(document: KeptDocument, authority: (key: string) => AuthorityState) {
  const pem: string[] = [];
  const faults: BackendTlsFault[] = [];
  let pending = false;
  for (const [index, ref] of (specOf(document).validation?.caCertificateRefs ?? []).entries()) {
    const key = authorityKey(ref, document);
    const field = `spec.validation.caCertificateRefs[${index}]`;
    if (key === undefined) {
      const value = `${[ref.group ?? '', ref.kind].filter((part) => part !== '').join('/')} ${ref.name}`;
      faults.push(
        fault('InvalidKind', field, value, 'is no ConfigMap', 'name a ConfigMap with a key ca.crt'),
      );
      continue;
    }
    const state = authority(key);
    if (state === undefined) pending = true;
    else if ('pem' in state) pem.push(state.pem);
    else
      faults.push(
        fault(
          'InvalidCACertificateRef',
          field,
          `ConfigMap ${key}`,
          state.wrong,
          'name a ConfigMap with certificates in PEM in ca.crt',
        ),
      );
  }
  return { pem, faults, pending };
}

function wellKnownFault(written: string | undefined): BackendTlsFault | undefined {
  if (written === undefined || written === 'System') return undefined;
  const field = 'spec.validation.wellKnownCACertificates';
  return fault('Invalid', field, JSON.stringify(written), 'is not a set of authorities', 'write System');
}

function fault(
  reason: BackendTlsFault['reason'],
  field: string,
  value: string,
  message: string,
  meant: string,
): BackendTlsFault {
  return { reason, problem: { severity: 'error', field, value, message, meant } };
}

function words({ field, value, message }: Problem): string {
  return `${field}: ${value} ${message}`;
}

/** A name of a type that is not understood is kept as one that nobody can prove: left out, it would let others in. */
function namesOf(written: NonNullable<Spec['validation']>['subjectAltNames'] & object): BackendName[] {
  return written.map(({ type, hostname = '', uri = '' }) =>
    type === 'URI' ? { type, value: uri } : { type: 'Hostname', value: hostname },
  );
}

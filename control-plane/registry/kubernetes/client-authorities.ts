import type { ClientAuthorities } from '../../../protocol/gateway.ts';
import type { Problem } from '../../../protocol/problem.ts';
import {
  type CertificateRef,
  type FrontendValidation,
  frontendValidation,
  gatewaySpec,
  type Listener,
} from './gateway-listeners.ts';
import type { KeptDocument } from './kept-objects.ts';
import { type CertificateWorld, maySee } from './listener-certificates.ts';
import { type Namer, namerOf } from './reference-grants.ts';

interface ClientAuthorityFault {
  readonly reason: 'InvalidCACertificateRef' | 'InvalidCACertificateKind' | 'RefNotPermitted';
  readonly problem: Problem;
}

/** What becomes of the validation in `spec.tls.frontend` that is for a listener. */
export interface CheckedClientAuthorities {
  /** Without any certificate nobody is served: to lose an authority must not mean to let everyone in. */
  readonly authorities: ClientAuthorities;
  readonly faults: readonly ClientAuthorityFault[];
  /** Why the listener is not accepted: none of its authorities can be had. */
  readonly refused: { readonly reason: 'NoValidCACertificate'; readonly problem: Problem } | undefined;
  /** A ConfigMap has not been read yet. */
  readonly pending: boolean;
}

/** Who vouches for the clients of a listener; undefined: it does not ask for their certificates. */
export function checkClientAuthorities(
  listener: Listener,
  gateway: KeptDocument,
  world: CertificateWorld,
): CheckedClientAuthorities | undefined {
  const found = frontendValidation(gatewaySpec(gateway), listener);
  if (found === undefined) return undefined;
  const { validation, field } = found;
  const refs = validation.caCertificateRefs ?? [];
  const resolved = refs.map((ref, index) =>
    resolveAuthority(ref, `${field}.caCertificateRefs[${index}]`, namerOf(gateway), world),
  );
  const certificates = resolved.flatMap((one) => ('pem' in one ? one.pem : []));
  const faults = resolved.flatMap((one) => ('problem' in one ? one : []));
  const isRefused = faults.length === refs.length;
  return {
    authorities: {
      certificates,
      // What is not known is taken for the stricter one.
      mode: validation.mode === 'AllowInsecureFallback' ? validation.mode : 'AllowValidOnly',
    },
    faults,
    refused: isRefused
      ? { reason: 'NoValidCACertificate', problem: noneProblem(field, listener) }
      : undefined,
    pending: resolved.some((one) => 'pending' in one),
  };
}

/** `namespace/name` of the ConfigMap that is meant, or undefined if it is none. */
function authorityKey(ref: CertificateRef, namespace: string): string | undefined {
  const { group = '', kind, name } = ref;
  return group === '' && kind === 'ConfigMap' ? `${ref.namespace ?? namespace}/${name}` : undefined;
}

/** Keys of the ConfigMaps that a Gateway names, for its own listeners or those of ListenerSets. */
export function clientAuthorityKeys(gateway: KeptDocument): string[] {
  const refs = validationsOf(gateway).flatMap(({ caCertificateRefs = [] }) => caCertificateRefs);
  return refs.flatMap((ref) => authorityKey(ref, gateway.namespace) ?? []);
}

/** Whether some clients of a Gateway are let in whoever they are, though they are asked. */
export function fallsBackInsecurely(gateway: KeptDocument): boolean {
  return validationsOf(gateway).some(({ mode }) => mode === 'AllowInsecureFallback');
}

function validationsOf(gateway: KeptDocument): FrontendValidation[] {
  const { default: all, perPort = [] } = gatewaySpec(gateway).tls?.frontend ?? {};
  return [all, ...perPort.map(({ tls }) => tls)].flatMap((one) => one?.validation ?? []);
}

type Resolved = { readonly pem: string } | { readonly pending: true } | ClientAuthorityFault;

function resolveAuthority(
  ref: CertificateRef,
  field: string,
  from: Namer,
  world: CertificateWorld,
): Resolved {
  const fault = (reason: ClientAuthorityFault['reason'], value: string, message: string): Resolved => ({
    reason,
    problem: {
      severity: 'error',
      field,
      value,
      message,
      meant: 'name a ConfigMap with the certificates of authorities in ca.crt',
    },
  });
  const key = authorityKey(ref, from.namespace);
  if (key === undefined) {
    const value = `${[ref.group ?? '', ref.kind].filter((part) => part !== '').join('/')} ${ref.name}`;
    return fault('InvalidCACertificateKind', value, 'is no ConfigMap');
  }
  const value = `ConfigMap ${key}`;
  // Asked first: who may not name it need not learn whether it exists.
  if (!maySee(key, from, (namespace) => world.grantsIn(namespace), 'ConfigMap')) {
    const message = `may not be named by a ${from.kind} of namespace ${from.namespace} without a ReferenceGrant`;
    return fault('RefNotPermitted', value, message);
  }
  const state = world.authority(key);
  if (state === undefined) return { pending: true };
  return 'wrong' in state ? fault('InvalidCACertificateRef', value, state.wrong) : { pem: state.pem };
}

function noneProblem(field: string, { name }: Listener): Problem {
  return {
    severity: 'error',
    field: `${field}.caCertificateRefs`,
    value: '',
    message: `names no authority that can be used: listener ${name} is not served`,
    meant: 'name a ConfigMap with the certificates of authorities in ca.crt',
  };
}

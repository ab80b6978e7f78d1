import type { KeptDocument } from './kept-objects.ts';

interface GrantSpec {
  readonly from?: readonly { group?: string; kind?: string; namespace?: string }[];
  readonly to?: readonly { group?: string; kind?: string; name?: string }[];
}

const GATEWAY_API = 'gateway.networking.k8s.io';

/** Who names something in another namespace. */
export interface Namer {
  readonly kind: string;
  readonly namespace: string;
}

/** An object as one that names others. */
export function namerOf({ reference, namespace }: KeptDocument): Namer {
  return { kind: reference.kind, namespace };
}

/** Whether one of a namespace's ReferenceGrants lets objects of `from` name its Service, Secret or ConfigMap `name`. */
export function isGranted(
  grants: Iterable<KeptDocument>,
  from: Namer,
  kind: 'Service' | 'Secret' | 'ConfigMap',
  name: string,
): boolean {
  for (const { document } of grants) {
    const spec = (document.spec ?? {}) as GrantSpec; // the API server checked it
    const fromIt = spec.from?.some(
      (one) => one.group === GATEWAY_API && one.kind === from.kind && one.namespace === from.namespace,
    );
    const toIt = spec.to?.some(
      (one) =>
        (one.group ?? '') === '' &&
        one.kind === kind &&
        (one.name === undefined || one.name === '' || one.name === name),
    );
    if (fromIt === true && toIt === true) return true;
  }
  return false;
}

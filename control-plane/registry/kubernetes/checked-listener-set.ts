import { takesNamespace } from './allowed-routes.ts';
import { type CheckedListener, checkListeners, type Fault, type ListenerOwner } from './checked-listener.ts';
import { gatewaySpec, type Listener } from './gateway-listeners.ts';
import type { KeptDocument, KeptNamespace } from './kept-objects.ts';
import type { CertificateWorld } from './listener-certificates.ts';
import { parentOf, type RawRef } from './route-document.ts';

/** A ListenerSet whose Gateway is of a class of ours, and what becomes of it. */
export interface CheckedListenerSet extends ListenerOwner {
  /** Why it is not attached: it has no listeners then. */
  readonly refused: Fault | undefined;
}

/** What is to be known of a Gateway's ListenerSets. */
export interface ListenerSetWorld extends CertificateWorld {
  /** Labels of a namespace. */
  namespace(name: string): Pick<KeptNamespace, 'labels'> | undefined;
}

/** `namespace/name` of the Gateway that a ListenerSet is for; undefined: its parent is no Gateway. */
export function gatewayOfSet({ document, namespace }: KeptDocument): string | undefined {
  const { parentRef = {} } = (document.spec ?? {}) as { parentRef?: RawRef }; // the API server checked it
  const { kind, key } = parentOf(parentRef, namespace);
  return kind === 'Gateway' ? key : undefined;
}

/**
 * Checks the ListenerSets of a Gateway, in order of precedence: after the Gateway the oldest, then by name. What one
 * before it has, none can take.
 */
export function checkListenerSets(
  gateway: KeptDocument,
  own: readonly CheckedListener[],
  sets: readonly KeptDocument[],
  accepted: boolean,
  world: ListenerSetWorld,
): CheckedListenerSet[] {
  const claims: Listener[] = own.map(({ listener }) => listener);
  return sets.toSorted(byAge).map((document) => {
    const refused = refusal(gateway, document, accepted, world);
    if (refused !== undefined) return { document, refused, listeners: [] };
    const listeners = checkListeners(document, world, { gateway, claims });
    claims.push(...listeners.flatMap((one) => (one.refused === undefined ? one.listener : [])));
    return { document, refused, listeners };
  });
}

function refusal(
  gateway: KeptDocument,
  { namespace }: KeptDocument,
  accepted: boolean,
  world: ListenerSetWorld,
): Fault | undefined {
  const error = { severity: 'error' as const, field: 'spec.parentRef' };
  const value = `Gateway ${gateway.namespace}/${gateway.name}`;
  const allowed = gatewaySpec(gateway).allowedListeners?.namespaces;
  const from = { name: namespace, labels: world.namespace(namespace)?.labels ?? {} };
  if (!takesNamespace(allowed, 'None', gateway.namespace, from)) {
    const message = `takes no ListenerSets from namespace ${namespace}`;
    const meant = 'let its owner allow this namespace in spec.allowedListeners';
    return { reason: 'NotAllowed', problem: { ...error, value, message, meant } };
  }
  if (accepted) return undefined;
  return { reason: 'ParentNotAccepted', problem: { ...error, value, message: 'is not accepted', meant: '' } };
}

function byAge(a: KeptDocument, b: KeptDocument): number {
  return orderOf(a) < orderOf(b) ? -1 : 1;
}

function orderOf({ created, namespace, name }: KeptDocument): string {
  return `${created} ${namespace}/${name}`;
}

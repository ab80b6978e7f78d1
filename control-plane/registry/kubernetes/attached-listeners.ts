import { sharesHost } from '../../../protocol/gateway.ts';
import { takesNamespace } from './allowed-routes.ts';
import type { CheckedListener, ListenerOwner } from './checked-listener.ts';
import { hostnameOf } from './gateway-listeners.ts';
import type { KeptNamespace } from './kept-objects.ts';
import type { ConditionReason } from './object-problem.ts';
import type { ParentRef } from './route-document.ts';

/** What is asked of a route that wants to be attached. */
export interface AttachingRoute {
  readonly kind: string;
  readonly namespace: { readonly name: string; readonly labels: KeptNamespace['labels'] };
  readonly hostnames: readonly string[];
}

type Attached =
  | { readonly listeners: readonly string[] }
  | { readonly reason: ConditionReason; readonly message: string };

/** Keys of the listeners of a Gateway or ListenerSet to which a parentRef attaches a route, or why there is none. */
export function attachedListeners(parent: ParentRef, route: AttachingRoute, owner: ListenerOwner): Attached {
  const { port, sectionName } = parent;
  const named = owner.listeners.filter(
    ({ listener }) =>
      (sectionName ?? listener.name) === listener.name && (port ?? listener.port) === listener.port,
  );
  if (named.length === 0) {
    const words = [sectionName, port === undefined ? undefined : `on port ${port}`];
    const wanted = words.filter((word) => word !== undefined).join(' ');
    return { reason: 'NoMatchingParent', message: `has no listener ${wanted}`.trimEnd() };
  }
  const { kind, namespace } = route;
  const open = named.filter((one) => takes(one, route, owner.document.namespace));
  if (open.length === 0)
    return {
      reason: 'NotAllowedByListeners',
      message: `has no listener that takes a ${kind} from namespace ${namespace.name}`,
    };
  const shared = open.filter(({ listener }) => sharesSome(hostnameOf(listener), route.hostnames));
  if (shared.length === 0)
    return {
      reason: 'NoMatchingListenerHostname',
      message: `has no listener for any of the hosts ${route.hostnames.join(', ')}`,
    };
  return { listeners: shared.map(({ key }) => key) };
}

function takes({ refused, kinds, listener }: CheckedListener, route: AttachingRoute, own: string): boolean {
  if (refused !== undefined || !kinds.includes(route.kind)) return false;
  return takesNamespace(listener.allowedRoutes?.namespaces, 'Same', own, route.namespace);
}

function sharesSome(hostname: string | undefined, hostnames: readonly string[]): boolean {
  return hostnames.length === 0 || hostnames.some((one) => sharesHost(hostname, one));
}

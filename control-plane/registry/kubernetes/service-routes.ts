import type { Route } from '../../../protocol/route.ts';
import type { ResolvedRoute } from './resolved-route.ts';

/** Routes of one port of a Service, in order of precedence. */
export interface ServiceRoutes {
  /** For all callers, but those of a namespace that has routes of its own. */
  readonly producer: readonly Route[];
  /** By the callers' namespace. */
  readonly consumers: ReadonlyMap<string, readonly Route[]>;
}

/**
 * A route in the Service's namespace is its producer's and for all callers; one in another namespace is a
 * consumer's and takes the producer's place for callers of that namespace (GEP-1294).
 */
export function serviceRoutes(
  port: string,
  namespace: string,
  routes: Iterable<ResolvedRoute>,
): ServiceRoutes {
  const byNamespace = Map.groupBy(
    [...routes].filter(({ ports }) => ports.has(port)).sort(byPrecedence),
    (route) => route.namespace,
  );
  const producer = mostSpecificKind(byNamespace.get(namespace) ?? []);
  byNamespace.delete(namespace);
  return {
    producer,
    consumers: new Map([...byNamespace].map(([consumer, theirs]) => [consumer, mostSpecificKind(theirs)])),
  };
}

/** Of a Service's routes only those of the most specific kind count (GEP-1426). */
function mostSpecificKind(routes: readonly ResolvedRoute[]): Route[] {
  const grpc = routes.filter(({ route }) => route.kind === 'GRPCRoute');
  return (grpc.length > 0 ? grpc : routes).map(({ route }) => route);
}

/** The oldest first, then by name: what the Gateway API says of equal matches. */
export function byPrecedence(a: ResolvedRoute, b: ResolvedRoute): number {
  return orderOf(a) < orderOf(b) ? -1 : 1;
}

function orderOf({ created, route }: ResolvedRoute): string {
  return `${created} ${route.name}`;
}

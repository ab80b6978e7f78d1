import type { RoutePolicy } from './route-policy.ts';
import type { ServiceKey } from './service.ts';

/** Kind of the routes that choose by the server name of a TLS connection; all others choose by requests. */
export const TLS_ROUTE = 'TLSRoute';

/** A route in the form in which it is distributed, whatever document it came from. */
export interface Route {
  /** `namespace/name`. */
  readonly name: string;
  /** `HTTPRoute`, `GRPCRoute` or `TLSRoute`. */
  readonly kind: string;
  readonly parents: readonly RouteParent[];
  /** Empty: every host. `*.example.com` matches all below. */
  readonly hostnames: readonly string[];
  readonly rules: readonly RouteRule[];
}

/** What names a route among those of all kinds. */
export function routeKey({ kind, name }: Route): string {
  return `${kind} ${name}`;
}

interface RouteParent {
  readonly kind: 'Service' | 'Gateway' | 'ListenerSet';
  /** `namespace/name`. */
  readonly key: string;
  readonly port?: number;
  /** Of a Gateway or a ListenerSet: the listener that is meant. */
  readonly sectionName?: string;
}

export interface RouteRule {
  readonly name?: string;
  /** What TrafficPolicies say of its requests; what the rule says itself goes before it. */
  readonly policy?: RoutePolicy;
  /** One of them is enough; none: every request. */
  readonly matches: readonly RouteMatch[];
  readonly backends: readonly RouteBackend[];
  readonly requestHeaders?: HeaderChanges;
  readonly responseHeaders?: HeaderChanges;
  readonly redirect?: {
    readonly scheme?: string;
    readonly hostname?: string;
    readonly port?: number;
    readonly path?: string;
    /** Takes the place of the prefix that matched. */
    readonly prefix?: string;
    readonly status?: number;
  };
  readonly rewrite?: { readonly hostname?: string; readonly path?: string; readonly prefix?: string };
  readonly timeoutMs?: number;
  readonly tryTimeoutMs?: number;
  /** Who gets copies of requests; their answers are thrown away. */
  readonly mirrors?: readonly RouteMirror[];
  readonly cors?: CorsPolicy;
  readonly retry?: RouteRetry;
}

export interface RouteMirror {
  readonly service: ServiceKey;
  /** The share of requests that is copied, from 0 to 1. */
  readonly share: number;
  /** Why it cannot be used: it gets no copies. */
  readonly invalid?: string;
}

/** HTTPCORSFilter of the Gateway API (Fetch standard, section 3.3). */
export interface CorsPolicy {
  /** `https://*.example.com` and `*` as well. */
  readonly allowOrigins: readonly string[];
  readonly allowCredentials: boolean;
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  /** In seconds. */
  readonly maxAge: number;
}

/** HTTPRouteRetry of the Gateway API (GEP-1731). */
export interface RouteRetry {
  readonly attempts?: number;
  readonly codes: readonly number[];
  readonly backoffMs?: number;
}

export interface RouteBackend {
  readonly service: ServiceKey;
  readonly weight: number;
  /** Why it cannot be used (Gateway API: its share of requests is answered 500). */
  readonly invalid?: string;
  /** Of requests that go to this backend, after the rule's. */
  readonly requestHeaders?: HeaderChanges;
  readonly responseHeaders?: HeaderChanges;
}

export interface HeaderChanges {
  readonly set?: readonly (readonly [name: string, value: string])[];
  readonly add?: readonly (readonly [name: string, value: string])[];
  readonly remove?: readonly string[];
}

/** `GrpcMethod`: the path is `/SERVICE/METHOD` of this method, whatever the service. */
export type PathMatchType = 'Exact' | 'PathPrefix' | 'GrpcMethod' | 'RegularExpression';

/** All parts that are given must match. */
export interface RouteMatch {
  readonly path?: { readonly type: PathMatchType; readonly value: string };
  readonly headers: readonly ValueMatch[];
  readonly query: readonly ValueMatch[];
  readonly method?: string;
}

export interface ValueMatch {
  /** Lower case for headers. */
  readonly name: string;
  readonly type: 'Exact' | 'RegularExpression';
  readonly value: string;
}

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

interface RouteParent {
  readonly kind: 'Service' | 'Gateway';
  /** `namespace/name`. */
  readonly key: string;
  readonly port?: number;
}

export interface RouteRule {
  /** One of them is enough; none: every request. */
  readonly matches: readonly RouteMatch[];
  readonly backends: readonly { readonly service: ServiceKey; readonly weight: number }[];
  readonly requestHeaders?: HeaderChanges;
  readonly responseHeaders?: HeaderChanges;
  readonly redirect?: {
    readonly scheme?: string;
    readonly hostname?: string;
    readonly port?: number;
    readonly path?: string;
    readonly status?: number;
  };
  readonly rewrite?: { readonly hostname?: string; readonly path?: string; readonly prefix?: string };
  readonly timeoutMs?: number;
  readonly tryTimeoutMs?: number;
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

import { grpcRouteSchema, httpRouteSchema, normalRoute } from '../../../protocol/http-route.ts';
import type { Problem } from '../../../protocol/problem.ts';
import { type Route, TLS_ROUTE } from '../../../protocol/route.ts';
import { schemaProblems } from '../../../protocol/schema-problems.ts';
import { normalTlsRoute, tlsRouteSchema } from '../../../protocol/tls-route.ts';
import type { KeptDocument } from './kept-objects.ts';

/** A route as it was written, with its references as they stand in it. */
export interface ReadRoute {
  readonly document: KeptDocument;
  readonly route: Route;
  /** As in `spec.parentRefs`. */
  readonly parents: readonly ParentRef[];
  /** As in the backendRefs of each rule. */
  readonly backends: readonly (readonly BackendRef[])[];
  /** As in the mirror filters of each rule. */
  readonly mirrors: readonly (readonly BackendRef[])[];
}

export interface ParentRef {
  /** undefined: of a kind that is not ours. */
  readonly kind: 'Service' | 'Gateway' | 'ListenerSet' | undefined;
  /** `namespace/name`. */
  readonly key: string;
  readonly port: number | undefined;
  readonly sectionName: string | undefined;
}

export interface BackendRef {
  /** `Service`, or the group and kind that is no backend here. */
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly port: number | undefined;
}

/** A reference as it is written. */
export interface RawRef {
  readonly group?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly port?: number;
  readonly sectionName?: string;
  readonly weight?: number;
}

interface RawFilter {
  readonly requestMirror?: { readonly backendRef?: RawRef };
}

interface RawRule {
  readonly backendRefs?: readonly RawRef[];
  readonly filters?: readonly RawFilter[];
}

const GATEWAY_API = 'gateway.networking.k8s.io';

/** Reads a route, or says what is wrong with it. undefined: nothing in it is for this mesh. */
export function readRoute(kept: KeptDocument): ReadRoute | { problems: Problem[] } | undefined {
  const spec = (kept.document.spec ?? {}) as { parentRefs?: RawRef[]; rules?: RawRule[] }; // the API server checked it
  const refs = spec.parentRefs ?? [];
  const parents = refs.map((ref) => parentOf(ref, kept.namespace));
  const ours = refs.filter((_, index) => parents[index]?.kind !== undefined);
  if (ours.length === 0) return undefined;
  const rules = spec.rules ?? [];
  const readable = {
    ...kept.document,
    spec: { ...spec, parentRefs: ours, rules: rules.map(withoutForeignBackends) },
  };
  const route = normal(kept.reference.kind, readable);
  if ('problems' in route) return route;
  return {
    document: kept,
    route,
    parents,
    backends: rules.map(({ backendRefs }) =>
      (backendRefs ?? []).map((ref) => backendOf(ref, kept.namespace)),
    ),
    mirrors: rules.map(({ filters = [] }) =>
      filters.flatMap(({ requestMirror }) =>
        requestMirror?.backendRef === undefined ? [] : backendOf(requestMirror.backendRef, kept.namespace),
      ),
    ),
  };
}

function normal(kind: string, document: unknown): Route | { problems: Problem[] } {
  const place = { file: '', locate: () => undefined };
  if (kind === TLS_ROUTE) {
    const read = tlsRouteSchema.safeParse(document);
    if (read.success) return normalTlsRoute(read.data);
    return { problems: schemaProblems(tlsRouteSchema, read.error, document, [], place) };
  }
  const schema = kind === 'GRPCRoute' ? grpcRouteSchema : httpRouteSchema;
  const read = schema.safeParse(document);
  if (read.success) return normalRoute(read.data);
  return { problems: schemaProblems(schema, read.error, document, [], place) };
}

/** A backend of another kind makes its share of requests fail, a mirror nothing at all, but not the whole route (Gateway API). */
function withoutForeignBackends(rule: RawRule): RawRule {
  const { backendRefs, filters } = rule;
  return {
    ...rule,
    ...(backendRefs !== undefined && {
      backendRefs: backendRefs.map((ref) =>
        isService(ref) ? ref : { name: 'foreign', ...(ref.weight !== undefined && { weight: ref.weight }) },
      ),
    }),
    ...(filters !== undefined && { filters: filters.map(withoutForeignMirror) }),
  };
}

function withoutForeignMirror(filter: RawFilter): RawFilter {
  const { requestMirror } = filter;
  const ref = requestMirror?.backendRef;
  if (ref === undefined || isService(ref)) return filter;
  return { ...filter, requestMirror: { ...requestMirror, backendRef: { name: 'foreign' } } };
}

function isService({ group = '', kind = 'Service' }: RawRef): boolean {
  return group === '' && kind === 'Service';
}

/** What a parentRef of a route of `namespace` means. */
export function parentOf(ref: RawRef, namespace: string): ParentRef {
  const { group = GATEWAY_API, kind = 'Gateway', name = '', port, sectionName } = ref;
  const service = kind === 'Service' && (group === '' || group === 'core');
  const gateway = (kind === 'Gateway' || kind === 'ListenerSet') && group === GATEWAY_API;
  return {
    kind: service ? 'Service' : gateway ? kind : undefined,
    key: `${ref.namespace ?? namespace}/${name}`,
    port,
    sectionName,
  };
}

function backendOf(ref: RawRef, namespace: string): BackendRef {
  const { group = '', kind = 'Service', name = '', port } = ref;
  return {
    kind: isService(ref) ? 'Service' : [group, kind].filter((part) => part !== '').join('/'),
    namespace: ref.namespace ?? namespace,
    name,
    port,
  };
}

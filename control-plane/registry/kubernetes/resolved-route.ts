import type { Problem } from '../../../protocol/problem.ts';
import { type Route, type RouteBackend, type RouteRule, TLS_ROUTE } from '../../../protocol/route.ts';
import { type AttachedPolicy, policyOfRule, withPolicies } from '../../../protocol/route-policy.ts';
import { attachedListeners } from './attached-listeners.ts';
import type { ListenerOwner } from './checked-listener.ts';
import type { KeptDocument, KeptNamespace, KeptService } from './kept-objects.ts';
import type { PolicyTarget } from './known-policies.ts';
import type { ConditionReason, ObjectProblem } from './object-problem.ts';
import { isGranted, namerOf } from './reference-grants.ts';
import type { BackendRef, ParentRef, ReadRoute } from './route-document.ts';

/** What a route's references are looked up in. */
export interface RouteWorld {
  service(key: string): KeptService | undefined;
  /** The listeners of a Gateway of a class of ours, or of a ListenerSet for one; undefined for all others. */
  listenersOf(kind: 'Gateway' | 'ListenerSet', key: string): ParentListeners | undefined;
  /** Whether there is such an object, of whatever class. */
  exists(kind: 'Gateway' | 'ListenerSet', key: string): boolean;
  namespace(name: string): KeptNamespace | undefined;
  grantsIn(namespace: string): Iterable<KeptDocument>;
  /** The later above the earlier. */
  policiesAbout(route: PolicyTarget): readonly AttachedPolicy[];
}

export interface ParentListeners {
  /** `namespace/name` of the Gateway that has them. */
  readonly gateway: string;
  readonly owner: ListenerOwner;
}

/** A route whose references were followed. */
export interface ResolvedRoute {
  readonly route: Route;
  readonly namespace: string;
  readonly created: string;
  /** `namespace/name:port` of all Service ports that it is attached to. */
  readonly ports: ReadonlySet<string>;
  /** `namespace/name` of Gateways, also of those whose ListenerSets it names. */
  readonly gateways: ReadonlySet<string>;
  /** `namespace/name listener`: of the Gateway, and the key of the listener. */
  readonly listeners: ReadonlySet<string>;
  readonly problems: readonly ObjectProblem[];
}

type RouteParent = Route['parents'][number];
type Report = (problem: Omit<Problem, 'severity'>, reason: ConditionReason, parent?: number) => void;

/** Follows the references of a route: parents to ports, backends to ports or to why they cannot be used. */
export function resolveRoute(read: ReadRoute, world: RouteWorld): ResolvedRoute {
  const { document, route } = read;
  const problems: ObjectProblem[] = [];
  const report: Report = (problem, reason, parent) =>
    problems.push({
      reference: document.reference,
      problem: { severity: 'error', ...problem },
      reason,
      ...(parent !== undefined && { parent }),
    });
  const edge: Edge = { gateways: new Set(), listeners: new Set() };
  const parents = read.parents.flatMap((parent, index) => attached(parent, index, read, world, report, edge));
  const rules = route.rules.map((rule, index) => resolveRule(rule, index, read, world, report));
  return {
    route: withKnownPolicies({ ...route, parents, rules }, world),
    namespace: document.namespace,
    created: document.created,
    ports: new Set(parents.filter(({ kind }) => kind === 'Service').map(({ key }) => key)),
    ...edge,
    problems,
  };
}

function withKnownPolicies(route: Route, world: RouteWorld): Route {
  if (route.kind === TLS_ROUTE) return route;
  const kind = route.kind === 'GRPCRoute' ? 'GRPCRoute' : 'HTTPRoute';
  const policies = world.policiesAbout(`${kind} ${route.name}`);
  return policies.length === 0 ? route : withPolicies(route, ({ name }) => policyOfRule(policies, name));
}

/** Where a route is attached at the edge. */
interface Edge {
  readonly gateways: Set<string>;
  readonly listeners: Set<string>;
}

function attached(
  parent: ParentRef,
  index: number,
  read: ReadRoute,
  world: RouteWorld,
  report: Report,
  edge: Edge,
): RouteParent[] {
  if (parent.kind === 'Service') return attachedPorts(parent, index, world, report);
  if (parent.kind === undefined) return [];
  return attachedGateway({ ...parent, kind: parent.kind }, index, read, world, report, edge);
}

function attachedPorts(parent: ParentRef, index: number, world: RouteWorld, report: Report): RouteParent[] {
  const service = world.service(parent.key);
  const field = `spec.parentRefs[${index}]`;
  if (service === undefined || service.external) {
    const message =
      service === undefined ? 'does not exist' : 'is an ExternalName, whose traffic passes through unread';
    report({ field, value: `Service ${parent.key}`, message, meant: '' }, 'NoMatchingParent', index);
    return [];
  }
  const ports = service.ports.filter(({ port }) => parent.port === undefined || port === parent.port);
  if (ports.length === 0) {
    const meant = `its TCP ports are ${service.ports.map(({ port }) => port).join(', ') || 'none'}`;
    const message = `is no TCP port of Service ${parent.key}`;
    report(
      { field: `${field}.port`, value: `${parent.port ?? ''}`, message, meant },
      'NoMatchingParent',
      index,
    );
  }
  return ports.map(({ port }) => ({ kind: 'Service', key: `${parent.key}:${port}`, port }));
}

function attachedGateway(
  parent: ParentRef & { readonly kind: 'Gateway' | 'ListenerSet' },
  index: number,
  read: ReadRoute,
  world: RouteWorld,
  report: Report,
  edge: Edge,
): RouteParent[] {
  const { kind, key, port, sectionName } = parent;
  const field = `spec.parentRefs[${index}]`;
  const value = `${kind} ${key}`;
  const named = world.listenersOf(kind, key);
  if (named === undefined) {
    if (!world.exists(kind, key))
      report({ field, value, message: 'does not exist', meant: '' }, 'NoMatchingParent', index);
    return [];
  }
  const { namespace: name, reference } = read.document;
  const namespace = { name, labels: world.namespace(name)?.labels ?? {} };
  const { hostnames } = read.route;
  const found = attachedListeners(parent, { kind: reference.kind, namespace, hostnames }, named.owner);
  if ('reason' in found) {
    report({ field, value, message: found.message, meant: '' }, found.reason, index);
    return [];
  }
  edge.gateways.add(named.gateway);
  for (const listener of found.listeners) edge.listeners.add(`${named.gateway} ${listener}`);
  return [
    {
      kind,
      key,
      ...(port !== undefined && { port }),
      ...(sectionName !== undefined && { sectionName }),
    },
  ];
}

function resolveRule(
  rule: RouteRule,
  index: number,
  read: ReadRoute,
  world: RouteWorld,
  report: Report,
): RouteRule {
  const resolve = (ref: BackendRef, field: string, meant: string) => {
    const { wrong, ...resolved } = resolveBackend(ref, read, world);
    if (wrong !== undefined) {
      const { reason, message } = wrong;
      const value = `${ref.kind} ${ref.namespace}/${ref.name}`;
      report({ field: `spec.rules[${index}].${field}`, value, message, meant }, reason);
    }
    return resolved;
  };
  const backends = rule.backends.map((backend, at): RouteBackend => {
    const ref = read.backends[index]?.[at];
    if (ref === undefined) return backend;
    const meant = 'its share of requests is answered 500 until then';
    return { ...backend, ...resolve(ref, `backendRefs[${at}]`, meant) };
  });
  const mirrors = rule.mirrors?.map((mirror, at) => {
    const ref = read.mirrors[index]?.[at];
    return ref === undefined
      ? mirror
      : { ...mirror, ...resolve(ref, 'filters', 'it gets no copies until then') };
  });
  return { ...rule, backends, ...(mirrors !== undefined && { mirrors }) };
}

interface ResolvedBackend {
  readonly service: string;
  readonly invalid?: string;
  readonly wrong?: { readonly reason: ConditionReason; readonly message: string };
}

/** The key of the port that a route of `from` sends to, or why it cannot. */
function resolveBackend(ref: BackendRef, read: ReadRoute, world: RouteWorld): ResolvedBackend {
  const from = read.document;
  const { kind, namespace, name, port } = ref;
  const service = port === undefined ? `${namespace}/${name}` : `${namespace}/${name}:${port}`;
  const invalid = (reason: ConditionReason, message: string): ResolvedBackend => ({
    service,
    invalid: `${kind} ${namespace}/${name} ${message}`,
    wrong: { reason, message },
  });
  if (kind !== 'Service') return invalid('InvalidKind', 'is not a kind of backend that is served');
  // Asked first: who may not name it need not learn whether it exists.
  const own = namespace === from.namespace || isCalledAnyway(`${namespace}/${name}`, read);
  if (!own && !isGranted(world.grantsIn(namespace), namerOf(from), 'Service', name)) {
    const message = `may not be named by a ${from.reference.kind} of namespace ${from.namespace} without a ReferenceGrant`;
    return invalid('RefNotPermitted', message);
  }
  const found = world.service(`${namespace}/${name}`);
  if (found === undefined) return invalid('BackendNotFound', 'does not exist');
  if (found.external) return invalid('BackendNotFound', 'is an ExternalName and has no endpoints');
  if (port === undefined) return invalid('BackendNotFound', 'is named without a port');
  if (!found.ports.some((one) => one.port === port))
    return invalid('BackendNotFound', `has no TCP port ${port}`);
  return { service };
}

/** Whether a route, of the mesh alone, sends to the Service that its callers called: it gives them nothing more (GEP-1294). */
function isCalledAnyway(service: string, { parents }: ReadRoute): boolean {
  return (
    parents.every(({ kind }) => kind === 'Service' || kind === undefined) &&
    parents.every(({ key }) => key === service)
  );
}

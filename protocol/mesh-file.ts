import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import type * as z from 'zod';
import { type AccessPolicy, accessPolicySchema } from './access-policy.ts';
import { aggregateSchema } from './aggregate.ts';
import { parseAnnotations, parseFields, parseRouteFields } from './annotations/parse.ts';
import { DEFAULT_SETTINGS } from './default-settings.ts';
import { gatewaySchema } from './gateway.ts';
import { grpcRouteSchema, httpRouteSchema, normalRoute } from './http-route.ts';
import { type Mesh, meshFileSchema } from './mesh.ts';
import { metadataSchema } from './metadata.ts';
import { nearest } from './nearest.ts';
import { type Problem, showValue } from './problem.ts';
import { type Route, TLS_ROUTE } from './route.ts';
import {
  type AttachedPolicy,
  policyOfRule,
  type RoutePolicy,
  sectionProblem,
  withPolicies,
} from './route-policy.ts';
import { type Salvaged, salvage } from './salvage.ts';
import { fieldPath, type Locate, schemaProblems } from './schema-problems.ts';
import { type Service, serviceKey } from './service.ts';
import { normalTlsRoute, tlsRouteSchema } from './tls-route.ts';
import { type TrafficPolicy, type TrafficSettings, trafficPolicySchema } from './traffic-policy.ts';

const MAX_BYTES = 16 * 1024 * 1024;
const MAX_ALIASES = 100;

export interface ParsedMesh {
  /** Missing when the file is too wrong to run on. */
  readonly mesh?: Mesh;
  readonly problems: readonly Problem[];
}

/**
 * Reads a mesh.yaml (DESIGN section 7). Every problem is told, with its place. A wrong annotation value
 * is an error, but contained: the mesh is returned with the default in its place.
 */
export function parseMesh(text: string, file: string): ParsedMesh {
  if (Buffer.byteLength(text) > MAX_BYTES)
    return { problems: [wholeFile(file, `has more than ${MAX_BYTES} bytes`)] };
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    // The parser's own check takes quadratic time.
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  });
  const mistakes = document.errors.length > 0 ? document.errors : contradictions(document);
  if (mistakes.length > 0) {
    const problems = mistakes.slice(0, 20).map((error): Problem => {
      const { line, col } = lines.linePos(error.pos[0]);
      return {
        severity: 'error',
        file,
        line,
        column: col,
        field: '',
        value: '',
        message: `this is not YAML: ${error.message}`,
        meant: '',
      };
    });
    return { problems };
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    return {
      problems: [
        wholeFile(file, `cannot be read: ${error instanceof Error ? error.message : String(error)}`),
      ],
    };
  }
  // A file that is being written is empty for a moment: that must not take all services away.
  if (value === null)
    return { problems: [{ ...wholeFile(file, 'is empty'), meant: 'write at least "services: []"' }] };
  return new MeshReader(file, locator(document, lines)).read(value);
}

interface Mistake {
  readonly pos: readonly [number, number];
  readonly message: string;
}

/** Keys that stand twice in a mapping, and aliases without an anchor before them. */
function contradictions(document: Document): Mistake[] {
  const mistakes: Mistake[] = [];
  const anchors = new Set<string>();
  visit(document, {
    Node(_key, node) {
      if ('anchor' in node && node.anchor !== undefined) anchors.add(node.anchor);
    },
    Alias(_key, alias) {
      if (!anchors.has(alias.source))
        mistakes.push({ pos: start(alias.range), message: `*${alias.source} has no anchor before it` });
    },
    Map(_key, map) {
      if (map.anchor !== undefined) anchors.add(map.anchor);
      const keys = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value)) mistakes.push({ pos: start(key.range), message: 'Map keys must be unique' });
        keys.add(key.value);
      }
    },
  });
  return mistakes;
}

function start(range: readonly number[] | null | undefined): [number, number] {
  return [range?.[0] ?? 0, range?.[1] ?? 0];
}

function wholeFile(file: string, message: string): Problem {
  return { severity: 'error', file, field: '', value: '', message, meant: '' };
}

/** Finds the place of a path; a path that does not exist has the place of its nearest parent. */
function locator(document: Document, lines: LineCounter): Locate {
  return (path) => {
    for (let depth = path.length; depth >= 0; depth--) {
      const keys = path.slice(0, depth);
      const node = depth === 0 ? document.contents : document.getIn(keys, true);
      const parent = depth < 2 ? document.contents : document.getIn(keys.slice(0, -1), true);
      const key = isMap(parent)
        ? parent.items.find((pair) => isScalar(pair.key) && pair.key.value === keys.at(-1))?.key
        : undefined;
      const found = isNode(node) && node.range ? node : isNode(key) ? key : undefined;
      if (found?.range) {
        const { line, col } = lines.linePos(found.range[0]);
        return { line, column: col };
      }
    }
    return undefined;
  };
}

/** One reading of one file: what it collects belongs together. */
class MeshReader {
  private readonly file: string;
  private readonly locate: Locate;
  private readonly problems: Problem[] = [];
  /** Where documents stand: two may have the same name. */
  private readonly places = new Map<Route | TrafficPolicy | AccessPolicy, readonly PropertyKey[]>();
  /** Errors that leave nothing to run on. */
  private fatal = false;

  constructor(file: string, locate: Locate) {
    this.file = file;
    this.locate = locate;
  }

  read(value: unknown): ParsedMesh {
    const outer = meshFileSchema.safeParse(value);
    if (!outer.success) {
      this.fatal = true;
      const place = { file: this.file, locate: this.locate };
      this.problems.push(...schemaProblems(meshFileSchema, outer.error, value, [], place));
    }
    const { trustDomain, quotas } = outer.data ?? meshFileSchema.parse({});
    const lists: Salvaged = outer.data ?? salvage(value);
    const policies = this.policies(lists.policies);
    const attached = this.attachedPolicies(policies.traffic);
    const routes = this.routes(lists.routes, attached);
    const gateways = lists.gateway.flatMap(
      (entry, index) => (entry && this.document(gatewaySchema, entry, ['gateway', index])) ?? [],
    );
    const services = lists.services.flatMap(
      (service, index) => (service && this.service(service, index, policies.traffic)) ?? [],
    );
    const mesh: Mesh = {
      trustDomain,
      services,
      routes,
      access: policies.access,
      aggregates: policies.aggregates,
      gateways,
      gatewayPolicies: gatewayPolicies(gateways, attached),
      quotas,
    };
    this.checkNames(mesh);
    for (const list of ['routes', 'policies', 'gateway'] as const) this.checkDocuments(list, lists[list]);
    this.checkRoutes(mesh);
    this.checkTargets(mesh, policies);
    return this.fatal ? { problems: this.problems } : { mesh, problems: this.problems };
  }

  private add(
    problem: Omit<Problem, 'file' | 'field' | 'line' | 'column'>,
    path: readonly PropertyKey[],
    fatal = false,
  ): void {
    this.problems.push({ ...problem, file: this.file, field: fieldPath(path), ...this.locate(path) });
    if (fatal) this.fatal = true;
  }

  private document<S extends z.ZodType>(
    schema: S,
    entry: unknown,
    path: readonly PropertyKey[],
  ): z.infer<S> | undefined {
    const read = schema.safeParse(entry);
    if (read.success) return read.data;
    this.fatal = true;
    this.problems.push(
      ...schemaProblems(schema, read.error, entry, path, { file: this.file, locate: this.locate }),
    );
    return undefined;
  }

  private unknownKind(kind: string, known: readonly string[], path: readonly PropertyKey[]): undefined {
    const guess = nearest(kind, known);
    const meant = guess === undefined ? `write ${known.join(', ')}` : `perhaps ${guess} was meant`;
    this.add(
      { severity: 'error', value: showValue(kind), message: 'is not a kind that belongs here', meant },
      [...path, 'kind'],
      true,
    );
    return undefined;
  }

  /** Policies about routes and Gateways, by what they are about; the later above the earlier. */
  private attachedPolicies(traffic: readonly TrafficPolicy[]): Attached {
    const attached: Attached = new Map();
    for (const policy of traffic) {
      const target = targetOf(policy);
      if (target.startsWith('Service ')) continue;
      const { targetRef, ...fields } = policy.spec;
      const read = parseRouteFields(fields, (field) => field);
      for (const problem of read.problems)
        this.add(problem, [...(this.places.get(policy) ?? []), 'spec', problem.field]);
      const section = targetRef.sectionName;
      const one = { policy: read.policy, ...(section !== undefined && { section }) };
      attached.set(target, [...(attached.get(target) ?? []), one]);
    }
    return attached;
  }

  private routes(entries: Salvaged['routes'], attached: Attached): Route[] {
    const placed = (route: Route, path: readonly PropertyKey[]) => {
      const policies = attached.get(`${route.kind} ${route.name}`) ?? [];
      return this.placed(
        withPolicies(route, ({ name }) => policyOfRule(policies, name)),
        path,
      );
    };
    return entries.flatMap((entry, index) => {
      if (entry === undefined) return [];
      const path = ['routes', index];
      if (entry.kind === 'HTTPRoute') {
        const read = this.document(httpRouteSchema, entry, path);
        return read === undefined ? [] : [placed(normalRoute(read), path)];
      }
      if (entry.kind === 'GRPCRoute') {
        const read = this.document(grpcRouteSchema, entry, path);
        return read === undefined ? [] : [placed(normalRoute(read), path)];
      }
      if (entry.kind === TLS_ROUTE) {
        const read = this.document(tlsRouteSchema, entry, path);
        return read === undefined ? [] : [placed(normalTlsRoute(read), path)];
      }
      return this.unknownKind(entry.kind, ['HTTPRoute', 'GRPCRoute', TLS_ROUTE], path) ?? [];
    });
  }

  private placed<T extends Route | TrafficPolicy | AccessPolicy>(one: T, path: readonly PropertyKey[]): T {
    this.places.set(one, path);
    return one;
  }

  private policies(entries: Salvaged['policies']): Policies {
    const policies: Policies = { traffic: [], access: [], aggregates: [] };
    for (const [index, entry] of entries.entries()) {
      if (entry === undefined) continue;
      const path = ['policies', index];
      if (entry.kind === 'TrafficPolicy') {
        const read = this.document(trafficPolicySchema, entry, path);
        if (read !== undefined) policies.traffic.push(this.placed(read, path));
      } else if (entry.kind === 'AccessPolicy') {
        const read = this.document(accessPolicySchema, entry, path);
        if (read === undefined) continue;
        policies.access.push(this.placed(read, path));
        const message =
          'AccessPolicy is not enforced by this version: requests that it would judge are refused';
        this.add(
          { severity: 'warning', value: '', message, meant: 'use the annotation tulle.dev/allow' },
          path,
        );
      } else if (entry.kind === 'Aggregate') {
        const read = this.document(aggregateSchema, entry, path);
        if (read === undefined) continue;
        policies.aggregates.push(read);
        this.add(
          {
            severity: 'warning',
            value: '',
            message: 'Aggregate is understood, but not served by this version',
            meant: '',
          },
          path,
        );
      } else {
        this.unknownKind(entry.kind, ['TrafficPolicy', 'AccessPolicy', 'Aggregate'], path);
      }
    }
    return policies;
  }

  /** Settings: defaults, then policies about the service, then its annotations. */
  private service(
    service: Service,
    index: number,
    traffic: readonly TrafficPolicy[],
  ): Mesh['services'][number] {
    const key = serviceKey(service);
    const path = ['services', index];
    let settings: TrafficSettings = DEFAULT_SETTINGS;
    for (const policy of traffic) {
      if (targetOf(policy) !== `Service ${key}`) continue;
      const { targetRef: _target, ...fields } = policy.spec;
      const read = parseFields(fields, settings, (field) => field);
      settings = read.settings;
      for (const problem of read.problems) {
        this.add(problem, [...(this.places.get(policy) ?? []), 'spec', problem.field]);
      }
    }
    const read = parseAnnotations(service.annotations, settings);
    for (const problem of read.problems) {
      const name = problem.field.slice('annotations.'.length);
      const at = name === '' ? ['annotations'] : ['annotations', name];
      this.add({ ...problem, object: `Service ${key}` }, [...path, ...at]);
    }
    return { service: withIdentity(service, read.settings), settings: read.settings };
  }

  private checkNames(mesh: Mesh): void {
    const seen = new Map<string, number>();
    for (const [index, { service }] of mesh.services.entries()) {
      const key = serviceKey(service);
      const first = seen.get(key);
      if (first === undefined) seen.set(key, index);
      else {
        const message = `stands for a second service ${key}; the first is services[${first}]`;
        this.add(
          {
            severity: 'error',
            value: showValue(service.name),
            message,
            meant: 'give each service of a namespace its own name',
          },
          ['services', index, 'name'],
          true,
        );
      }
    }
  }

  /** Of two documents with one name, one would win in silence. */
  private checkDocuments(list: string, entries: readonly (MeshDocument | undefined)[]): void {
    const seen = new Map<string, number>();
    for (const [index, entry] of entries.entries()) {
      const metadata = metadataSchema.safeParse(entry?.metadata).data;
      if (entry === undefined || metadata === undefined) continue;
      const name = `${entry.kind} ${metadata.namespace}/${metadata.name}`;
      const first = seen.get(name);
      if (first === undefined) seen.set(name, index);
      else {
        const message = `stands for a second ${name}; the first is ${list}[${first}]`;
        const meant = 'give each document of a kind and namespace its own name';
        const at = [list, index, 'metadata', 'name'];
        this.add({ severity: 'error', value: showValue(metadata.name), message, meant }, at, true);
      }
    }
  }

  private checkRoutes(mesh: Mesh): void {
    const services = new Set(mesh.services.map(({ service }) => serviceKey(service)));
    const gateways = new Set(mesh.gateways.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`));
    // Files have no ListenerSets.
    const parents = { Service: services, Gateway: gateways, ListenerSet: new Set<string>() };
    for (const route of mesh.routes) {
      const path = [...(this.places.get(route) ?? []), 'spec'];
      for (const [at, parent] of route.parents.entries()) {
        const known = parents[parent.kind];
        if (!known.has(parent.key))
          this.unknownName(
            `${parent.kind} ${parent.key}`,
            parent.key,
            [...known],
            [...path, 'parentRefs', at, 'name'],
          );
      }
      for (const [ruleIndex, rule] of route.rules.entries()) {
        for (const [at, { service }] of rule.backends.entries()) {
          if (!services.has(service))
            this.unknownName(
              `Service ${service}`,
              service,
              [...services],
              [...path, 'rules', ruleIndex, 'backendRefs', at, 'name'],
            );
        }
        for (const { service } of rule.mirrors ?? []) {
          if (!services.has(service))
            this.unknownName(
              `Service ${service}`,
              service,
              [...services],
              [...path, 'rules', ruleIndex, 'filters'],
            );
        }
        const total = rule.backends.reduce((sum, { weight }) => sum + weight, 0);
        if (total === 0 && rule.redirect === undefined && rule.policy?.set.directResponse === undefined) {
          const what = route.kind === TLS_ROUTE ? 'connections are reset' : 'requests are answered 500';
          const message = `has no backend with a weight above 0: its ${what}`;
          this.add({ severity: 'warning', value: '', message, meant: 'name a backend' }, [
            ...path,
            'rules',
            ruleIndex,
          ]);
        }
      }
    }
  }

  private unknownName(
    what: string,
    key: string,
    known: readonly string[],
    path: readonly PropertyKey[],
  ): void {
    const guess = nearest(key, known);
    const meant =
      guess === undefined
        ? `there are ${known.slice(0, 10).join(', ') || 'none'}`
        : `perhaps ${guess} was meant`;
    this.add(
      { severity: 'error', value: '', message: `${what} does not exist in this file`, meant },
      path,
      true,
    );
  }

  private checkTargets(mesh: Mesh, policies: Policies): void {
    const known = [
      ...mesh.services.map(({ service }) => `Service ${serviceKey(service)}`),
      ...mesh.gateways.map(({ metadata }) => `Gateway ${metadata.namespace}/${metadata.name}`),
      ...mesh.routes.map((route) => `${route.kind} ${route.name}`),
    ];
    for (const policy of [...policies.traffic, ...policies.access]) {
      const target = targetOf(policy);
      const path = [...(this.places.get(policy) ?? []), 'spec', 'targetRef'];
      if (!known.includes(target)) this.unknownName(target, target, known, [...path, 'name']);
      else if (policy.kind === 'TrafficPolicy') this.checkSection(policy, mesh.routes, path);
      else if (!target.startsWith('Service ')) {
        this.add(
          {
            severity: 'error',
            value: '',
            message: `a ${policy.kind} about a ${target.split(' ', 1)[0]} is not enforced by this version`,
            meant: 'target a Service',
          },
          [...path, 'name'],
          true,
        );
      }
    }
  }

  private checkSection(policy: TrafficPolicy, routes: readonly Route[], path: readonly PropertyKey[]): void {
    const { sectionName } = policy.spec.targetRef;
    if (sectionName === undefined) return;
    const target = targetOf(policy);
    const route = routes.find(({ kind, name }) => `${kind} ${name}` === target);
    const names = route?.rules.flatMap(({ name }) => name ?? []);
    if (names?.includes(sectionName)) return;
    this.add(
      { severity: 'error', value: showValue(sectionName), ...sectionProblem(names) },
      [...path, 'sectionName'],
      true,
    );
  }
}

type MeshDocument = Salvaged['routes'][number];

interface Policies {
  readonly traffic: TrafficPolicy[];
  readonly access: AccessPolicy[];
  readonly aggregates: z.infer<typeof aggregateSchema>[];
}

/** By the kind and name of what they are about. */
type Attached = Map<string, AttachedPolicy[]>;

function gatewayPolicies(gateways: Mesh['gateways'], attached: Attached): Map<string, RoutePolicy> {
  return new Map(
    gateways.flatMap(({ metadata }) => {
      const key = `${metadata.namespace}/${metadata.name}`;
      const policy = policyOfRule(attached.get(`Gateway ${key}`) ?? [], undefined);
      return policy === undefined ? [] : [[key, policy] as const];
    }),
  );
}

function targetOf(policy: {
  metadata: { namespace: string };
  spec: { targetRef: { kind: string; name: string; namespace?: string | undefined } };
}): string {
  const { targetRef } = policy.spec;
  return `${targetRef.kind} ${targetRef.namespace ?? policy.metadata.namespace}/${targetRef.name}`;
}

/** Endpoints of a service with a service account, or with strict mTLS, prove the service's identity. */
function withIdentity(service: Service, settings: TrafficSettings): Service {
  if (service.serviceAccount === undefined && settings.mtls !== 'strict') return service;
  const identity = `${service.namespace}/${service.serviceAccount ?? service.name}`;
  return {
    ...service,
    endpoints: service.endpoints.map((endpoint) => ({
      ...endpoint,
      identity: endpoint.identity ?? identity,
    })),
  };
}

import { isDeepStrictEqual } from 'node:util';
import type { AttachedPolicy } from '../../../protocol/route-policy.ts';
import { IndexOf } from './index-of.ts';
import type { KeptDocument, KeptNamespace, KeptService } from './kept-objects.ts';
import type { KnownGateways } from './known-gateways.ts';
import type { PolicyTarget } from './known-policies.ts';
import type { Subject } from './known-workloads.ts';
import type { ProblemBook } from './problem-book.ts';
import { type ParentListeners, type ResolvedRoute, type RouteWorld, resolveRoute } from './resolved-route.ts';
import { type ReadRoute, readRoute } from './route-document.ts';

/** What is known besides, of what routes name and of what is said of them. */
interface Others {
  service(key: string): KeptService | undefined;
  policiesAbout(target: PolicyTarget): AttachedPolicy[];
}

/**
 * Routes, and what they are attached to and send to. A route is resolved anew (`settle`) when it or something that
 * it names has changed.
 */
export class KnownRoutes implements RouteWorld {
  private readonly read = new Map<string, ReadRoute>();
  private readonly resolved = new Map<string, ResolvedRoute>();
  private readonly namespaces = new Map<string, KeptNamespace>();
  /** By what they name: `service ns/name`, `gateway ns/name`, `listenerset ns/name`, `grants ns`, and by their own `namespace ns`. */
  private readonly byReference = new IndexOf();
  /** By what they are attached to: `service ns/name`, `gateway ns/name`. */
  private readonly byParent = new IndexOf();
  private readonly unsettled = new Set<string>();
  private readonly problems: ProblemBook;
  private readonly touch: (subject: Subject) => void;
  private readonly gateways: KnownGateways;
  private readonly others: Others;

  constructor(
    problems: ProblemBook,
    touch: (subject: Subject) => void,
    gateways: KnownGateways,
    others: Others,
  ) {
    this.gateways = gateways;
    this.problems = problems;
    this.touch = touch;
    this.others = others;
  }

  service(key: string): KeptService | undefined {
    return this.others.service(key);
  }

  policiesAbout(route: PolicyTarget): AttachedPolicy[] {
    return this.others.policiesAbout(route);
  }

  listenersOf(kind: 'Gateway' | 'ListenerSet', key: string): ParentListeners | undefined {
    if (kind === 'ListenerSet') {
      const found = this.gateways.listenerSet(key);
      return found && { gateway: found.gateway, owner: found.set };
    }
    const owner = this.gateways.gateway(key);
    return owner && { gateway: key, owner };
  }

  exists(kind: 'Gateway' | 'ListenerSet', key: string): boolean {
    return kind === 'Gateway' ? this.gateways.exists(key) : this.gateways.listenerSetExists(key);
  }

  namespace(name: string): KeptNamespace | undefined {
    return this.namespaces.get(name);
  }

  grantsIn(namespace: string): KeptDocument[] {
    return this.gateways.grantsIn(namespace);
  }

  /** Routes that are attached to a Service or a Gateway. */
  attachedTo(parent: `service ${string}` | `gateway ${string}`): ResolvedRoute[] {
    return [...this.byParent.get(parent)].flatMap((id) => this.resolved.get(id) ?? []);
  }

  putRoute(key: string, kept: KeptDocument): void {
    const id = `${kept.reference.kind} ${key}`;
    const before = this.read.get(id);
    if (isDeepStrictEqual(before?.document, kept)) return;
    const read = readRoute(kept);
    const { reference } = kept;
    const wrong = read !== undefined && 'problems' in read ? read.problems : [];
    this.problems.set(
      `${id} document`,
      wrong.map((problem) => ({ reference, problem, reason: 'UnsupportedValue' })),
    );
    // Of a document that cannot be read, the last good one stays.
    if (read !== undefined && 'problems' in read) return;
    this.unindex(id, before);
    if (read === undefined) this.read.delete(id);
    else this.index(id, read);
    this.unsettled.add(id);
  }

  removeRoute(kind: string, key: string): void {
    const id = `${kind} ${key}`;
    this.problems.set(`${id} document`, []);
    const before = this.read.get(id);
    if (before === undefined) return;
    this.unindex(id, before);
    this.read.delete(id);
    this.unsettled.add(id);
  }

  putNamespace(kept: KeptNamespace): void {
    const before = this.namespaces.get(kept.name);
    this.namespaces.set(kept.name, kept);
    if (!isDeepStrictEqual(before?.labels, kept.labels)) this.referenceChanged(`namespace ${kept.name}`);
  }

  removeNamespace(name: string): void {
    if (this.namespaces.delete(name)) this.referenceChanged(`namespace ${name}`);
  }

  /** ReferenceGrants of a namespace are others. */
  grantsChanged(namespace: string): void {
    this.referenceChanged(`grants ${namespace}`);
  }

  /** A Gateway came, went or has other listeners. */
  gatewayChanged(key: string): void {
    this.touch(`gateway ${key}`);
    this.referenceChanged(`gateway ${key}`);
  }

  /** A ListenerSet came, went, has other listeners or another Gateway. */
  listenerSetChanged(key: string): void {
    this.referenceChanged(`listenerset ${key}`);
  }

  /** Something else is said of a route. */
  policyChanged(id: string): void {
    this.unsettled.add(id);
  }

  /** A Service came, went or has other ports. */
  serviceChanged(key: string): void {
    this.referenceChanged(`service ${key}`);
  }

  /** Resolves what changed, and touches what that changes in turn. */
  settle(): void {
    for (const id of this.unsettled) {
      const read = this.read.get(id);
      const before = this.resolved.get(id);
      const after = read === undefined ? undefined : resolveRoute(read, this);
      this.problems.set(`${id} references`, after?.problems ?? []);
      if (isDeepStrictEqual(before, after)) continue;
      for (const parent of parentsOf(before)) {
        this.byParent.delete(parent, id);
        this.touch(parent);
      }
      for (const parent of parentsOf(after)) {
        this.byParent.add(parent, id);
        this.touch(parent);
      }
      if (after === undefined) this.resolved.delete(id);
      else this.resolved.set(id, after);
    }
    this.unsettled.clear();
  }

  private referenceChanged(reference: string): void {
    for (const id of this.byReference.get(reference)) this.unsettled.add(id);
  }

  private index(id: string, read: ReadRoute): void {
    this.read.set(id, read);
    for (const reference of referencesOf(read)) this.byReference.add(reference, id);
  }

  private unindex(id: string, read: ReadRoute | undefined): void {
    if (read === undefined) return;
    for (const reference of referencesOf(read)) this.byReference.delete(reference, id);
  }
}

function referencesOf({ document, parents, backends, mirrors }: ReadRoute): Set<string> {
  const references = new Set<string>([`namespace ${document.namespace}`]);
  for (const { kind, key } of parents) if (kind !== undefined) references.add(`${kind.toLowerCase()} ${key}`);
  const services = [...backends, ...mirrors]
    .flat()
    .flatMap((ref) => (ref.kind === 'Service' ? `${ref.namespace}/${ref.name}` : []));
  for (const service of services) {
    references.add(`service ${service}`);
    const [namespace = ''] = service.split('/', 1);
    if (namespace !== document.namespace) references.add(`grants ${namespace}`);
  }
  return references;
}

function parentsOf(route: ResolvedRoute | undefined): Set<`service ${string}` | `gateway ${string}`> {
  const ports = [...(route?.ports ?? [])];
  return new Set([
    ...ports.map((port) => `service ${port.slice(0, port.lastIndexOf(':'))}` as const),
    ...[...(route?.gateways ?? [])].map((key) => `gateway ${key}` as const),
  ]);
}

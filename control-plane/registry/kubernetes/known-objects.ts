import { keepNamespace, keepPod, keepService, keepSlice, podProblems } from './keep-core.ts';
import { keepDocument } from './keep-document.ts';
import { KnownBackendTls } from './known-backend-tls.ts';
import { KnownGateways } from './known-gateways.ts';
import { KnownPolicies, type PolicyTarget } from './known-policies.ts';
import { KnownRoutes } from './known-routes.ts';
import { KnownWorkloads, type Subject } from './known-workloads.ts';
import type { ObjectProblem } from './object-problem.ts';
import { ProblemBook } from './problem-book.ts';
import { SeenDocuments } from './seen-documents.ts';

/** What resources are made of. */
export interface Known {
  readonly workloads: KnownWorkloads;
  readonly policies: KnownPolicies;
  readonly backendTls: KnownBackendTls;
  readonly gateways: KnownGateways;
  readonly routes: KnownRoutes;
}

/** Kinds of the objects that are taken. */
export type ObjectKind =
  | 'Service'
  | 'EndpointSlice'
  | 'Pod'
  | 'Namespace'
  | 'HTTPRoute'
  | 'GRPCRoute'
  | 'TLSRoute'
  | 'Gateway'
  | 'ListenerSet'
  | 'GatewayClass'
  | 'ReferenceGrant'
  | 'BackendTLSPolicy'
  | 'TrafficPolicy'
  | 'AccessPolicy'
  | 'Aggregate';

const GATEWAY_API = 'gateway.networking.k8s.io/v1';
const TULLE = 'tulle.dev/v1alpha1';

/**
 * All that is known of the cluster. Objects are put and removed in any order; `settle` follows what depends on
 * what, and says which subjects may look different since it was called last.
 */
export class KnownObjects implements Known {
  readonly workloads: KnownWorkloads;
  readonly policies: KnownPolicies;
  readonly backendTls: KnownBackendTls;
  readonly gateways: KnownGateways;
  readonly routes: KnownRoutes;
  /** Documents with their status, for those who write it. */
  readonly seen = new SeenDocuments();
  private readonly book = new ProblemBook();
  private touched = new Set<Subject>();
  private readonly changedServices = new Set<string>();
  /** What policies may be about that came, went or is another. */
  private readonly changedTargets = new Set<PolicyTarget>();

  constructor() {
    const touch = (subject: Subject) => void this.touched.add(subject);
    this.workloads = new KnownWorkloads(touch);
    this.policies = new KnownPolicies(this.book, (target) => this.policyChanged(target));
    this.backendTls = new KnownBackendTls(this.book, (key) => this.serviceChanged(key));
    this.gateways = new KnownGateways(this.book, {
      gatewayChanged: (key) => {
        this.changedTargets.add(`Gateway ${key}`);
        this.routes.gatewayChanged(key);
      },
      listenerSetChanged: (key) => this.routes.listenerSetChanged(key),
      namespace: (name) => this.routes.namespace(name),
    });
    this.routes = new KnownRoutes(this.book, touch, this.gateways, {
      service: (key) => this.workloads.service(key),
      policiesAbout: (target) => this.policies.policiesAbout(target),
    });
  }

  /** Takes an object as the API server tells it. Throws when it is not of the shape of its kind. */
  put(kind: ObjectKind, key: string, object: object): void {
    switch (kind) {
      case 'Service': {
        const service = keepService(object);
        this.workloads.putService(key, service);
        this.policies.putService(key, service);
        this.changedServices.add(key);
        return;
      }
      case 'EndpointSlice':
        this.workloads.putSlice(key, keepSlice(object));
        return;
      case 'Pod':
        this.workloads.putPod(key, keepPod(object));
        this.book.set(`Pod ${key}`, podProblems(object));
        return;
      case 'Namespace': {
        const namespace = keepNamespace(object);
        this.routes.putNamespace(namespace);
        this.policies.putNamespace(namespace);
        this.namespaceChanged(key);
        return;
      }
      default:
        this.putDocument(kind, key, object);
    }
  }

  remove(kind: ObjectKind, key: string): void {
    switch (kind) {
      case 'Service':
        this.workloads.removeService(key);
        this.policies.removeService(key);
        this.changedServices.add(key);
        return;
      case 'EndpointSlice':
        this.workloads.removeSlice(key);
        return;
      case 'Pod':
        this.workloads.removePod(key);
        this.book.set(`Pod ${key}`, []);
        return;
      case 'Namespace':
        this.routes.removeNamespace(key);
        this.policies.removeNamespace(key);
        this.namespaceChanged(key);
        return;
      default:
        this.removeDocument(kind, key);
    }
  }

  settle(): ReadonlySet<Subject> {
    for (const key of this.changedServices) {
      const service = this.workloads.service(key);
      this.routes.serviceChanged(key);
      this.policies.checkTargets(`Service ${key}`, service !== undefined);
    }
    this.changedServices.clear();
    this.gateways.settle();
    for (const target of this.changedTargets) this.checkPoliciesAbout(target);
    this.changedTargets.clear();
    this.routes.settle();
    const { touched } = this;
    this.touched = new Set();
    return touched;
  }

  problems(): ObjectProblem[] {
    return this.book.all();
  }

  /** Whether problems came or went since it was asked last. */
  takeProblemsChanged(): boolean {
    return this.book.takeChanged();
  }

  /** What is wrong in a document: as it is written, in what it refers to, or in what it is about. */
  problemsOf(kind: string, key: string): ObjectProblem[] {
    const topics = ['document', 'references', 'fields', 'target'];
    return topics.flatMap((topic) => this.book.get(`${kind} ${key} ${topic}`));
  }

  private putDocument(kind: DocumentKind, key: string, object: object): void {
    const version = TULLE_KINDS.has(kind) ? TULLE : GATEWAY_API;
    const kept = keepDocument(version, kind, object);
    this.seen.put(kind, key, kept, object);
    switch (kind) {
      case 'TrafficPolicy':
        this.policies.putTraffic(key, kept);
        return;
      case 'AccessPolicy':
        this.policies.putAccess(key, kept);
        return;
      case 'Aggregate':
        this.book.set(`Aggregate ${key} document`, [
          { reference: kept.reference, problem: AGGREGATE, reason: 'UnsupportedValue' },
        ]);
        return;
      case 'BackendTLSPolicy':
        this.backendTls.put(key, kept);
        return;
      case 'Gateway':
        this.gateways.putGateway(key, kept);
        return;
      case 'ListenerSet':
        this.gateways.putListenerSet(key, kept);
        return;
      case 'GatewayClass':
        this.gateways.putClass(key, kept);
        return;
      case 'ReferenceGrant':
        this.gateways.putGrant(key, kept);
        this.routes.grantsChanged(kept.namespace);
        return;
      default:
        if (kind !== 'TLSRoute') this.changedTargets.add(`${kind} ${key}`);
        this.routes.putRoute(key, kept);
    }
  }

  private removeDocument(kind: DocumentKind, key: string): void {
    this.seen.remove(kind, key);
    switch (kind) {
      case 'TrafficPolicy':
        this.policies.removeTraffic(key);
        return;
      case 'AccessPolicy':
        this.policies.removeAccess(key);
        return;
      case 'Aggregate':
        this.book.set(`Aggregate ${key} document`, []);
        return;
      case 'BackendTLSPolicy':
        this.backendTls.remove(key);
        return;
      case 'Gateway':
        this.gateways.removeGateway(key);
        return;
      case 'ListenerSet':
        this.gateways.removeListenerSet(key);
        return;
      case 'GatewayClass':
        this.gateways.removeClass(key);
        return;
      case 'ReferenceGrant':
        this.grantRemoved(this.gateways.removeGrant(key));
        return;
      default:
        if (kind !== 'TLSRoute') this.changedTargets.add(`${kind} ${key}`);
        this.routes.removeRoute(kind, key);
    }
  }

  private grantRemoved(namespace: string | undefined): void {
    if (namespace !== undefined) this.routes.grantsChanged(namespace);
  }

  private policyChanged(target: PolicyTarget): void {
    const [kind, key = ''] = target.split(' ', 2);
    if (kind === 'Service') {
      this.serviceChanged(key);
      return;
    }
    this.changedTargets.add(target);
    if (kind === 'Gateway') this.touched.add(`gateway ${key}`);
    else this.routes.policyChanged(target);
  }

  private checkPoliciesAbout(target: PolicyTarget): void {
    const [kind = '', key = ''] = target.split(' ', 2);
    if (kind === 'Gateway') {
      this.policies.checkTargets(target, this.gateways.gateway(key) !== undefined);
      return;
    }
    const seen = this.seen.get(kind, key);
    this.policies.checkTargets(target, seen !== undefined, ruleNames(seen?.kept.document));
  }

  /** A Service is treated differently: whoever calls it and whoever serves it are concerned. */
  private serviceChanged(key: string): void {
    const service = this.workloads.service(key);
    if (service !== undefined) this.workloads.touchService(key, service);
    this.changedServices.add(key);
  }

  private namespaceChanged(namespace: string): void {
    this.gateways.namespaceChanged(namespace);
    for (const key of this.workloads.servicesIn(namespace)) this.touched.add(`service ${key}`);
    for (const key of this.workloads.podsIn(namespace)) this.touched.add(`pod ${key}`);
  }
}

/** Names of the rules of a route, as it is written. */
function ruleNames(document: Readonly<Record<string, unknown>> | undefined): string[] {
  const { rules = [] } = (document?.spec ?? {}) as { rules?: readonly { readonly name?: string }[] }; // the API server checked it
  return rules.flatMap(({ name }) => name ?? []);
}

type DocumentKind = Exclude<ObjectKind, 'Service' | 'EndpointSlice' | 'Pod' | 'Namespace'>;

const TULLE_KINDS: ReadonlySet<string> = new Set(['TrafficPolicy', 'AccessPolicy', 'Aggregate']);

const AGGREGATE = {
  severity: 'warning',
  field: 'spec',
  value: '',
  message: 'Aggregate is understood, but not served by this version',
  meant: '',
} as const;

import { isDeepStrictEqual } from 'node:util';
import type { ListenerCertificate } from '../../protocol/gateway.ts';
import type { ServiceResource } from '../../protocol/resources.ts';
import type { RouteBackend, RouteRetry } from '../../protocol/route.ts';
import { settingsWith } from '../../protocol/route-policy.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import { Cluster, type ClusterParts } from '../balancing/cluster.ts';
import type { Subscription } from '../config/subscription.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import { composeChain } from '../filters/filter.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import { hasChoice, routeFilters } from '../filters/route-filters.ts';
import type { CheckedEndpoint, EndpointCircuit } from '../telemetry/metrics.ts';
import type { BackendCall } from '../upstream/backend-call.ts';
import { FirstWord } from './first-word.ts';
import { mirrorsOf } from './mirrors.ts';
import type { Pending, Plan } from './plan.ts';
import { type CompiledRule, compileRoutes, type RequestView, type RouteTable } from './route-table.ts';
import { stickyBackend } from './sticky-backend.ts';

/** A service that nobody used for so long is no longer followed (DESIGN section 5). */
const UNUSED_MS = 90_000;

/** Host names are the callers' to choose: names of no service make room beyond so many. */
const MAX_FOLLOWED = 4096;

const UNKNOWN = 0;
const PRESENT = 1;
const ABSENT = 2;

/** One service as the data plane runs it: its tables, compiled, and its endpoints. */
export class RunningService {
  readonly key: string;
  resource: ServiceResource | undefined = undefined;
  cluster: Cluster | undefined = undefined;
  lastUsedMs: number;
  readonly firstWord = new FirstWord();
  /** Of all calls to it, by whatever route; it outlives changes of the configuration. */
  readonly retryBudget = new RetryBudget();
  private state = UNKNOWN;
  private table: RouteTable | undefined = undefined;
  private byDefault: Plan | undefined = undefined;
  private readonly owner: RunningServices;

  constructor(key: string, owner: RunningServices) {
    this.key = key;
    this.owner = owner;
    this.lastUsedMs = performance.now();
  }

  /** No word about it came yet, and one still may. */
  get isUnknown(): boolean {
    return this.state === UNKNOWN && this.firstWord.mayCome;
  }

  get present(): boolean {
    return this.state === PRESENT;
  }

  /** The plan for a request: by route, else the service itself. Pending until the first word about it comes. */
  planFor(view: RequestView): Plan | Pending | LocalAnswer {
    if (this.state === UNKNOWN) return this.unknown();
    if (this.byDefault === undefined)
      return { status: 404, code: 'no-service', detail: `there is no service ${this.key}` };
    const rule = this.table?.match(view);
    if (rule !== undefined) return this.owner.planOf(rule, this);
    return this.table === undefined ? this.byDefault : noRule(this.key);
  }

  /** The plan for a connection whose bytes are not looked at: routes have nothing to look at. */
  opaquePlan(): Plan | Pending | LocalAnswer {
    if (this.state === UNKNOWN) return this.unknown();
    return this.byDefault ?? { status: 404, code: 'no-service', detail: `there is no service ${this.key}` };
  }

  /** The cluster to send to, or a wait, or why there is none. */
  backend(): Cluster | Pending | LocalAnswer {
    if (this.cluster !== undefined) return this.cluster;
    if (this.state === UNKNOWN) return this.unknown();
    return { status: 503, code: 'no-service', detail: `there is no service ${this.key}` };
  }

  /** A wait while nothing is known of it, else `answer`. */
  waitOr(answer: LocalAnswer): Pending | LocalAnswer {
    return this.state === UNKNOWN ? this.unknown() : answer;
  }

  private unknown(): Pending | LocalAnswer {
    if (this.firstWord.mayCome) return this.firstWord;
    return {
      status: 503,
      code: 'service-unknown-yet',
      detail: `nothing is known of ${this.key} yet: the control plane has not answered`,
    };
  }

  update(resource: ServiceResource): void {
    this.resource = resource;
    this.state = PRESENT;
    const { service, settings, routes } = resource;
    this.retryBudget.limit(settings.retryBudget.ratio, settings.retryBudget.perSecond);
    this.cluster ??= new Cluster(this.key, settings, this.owner.parts);
    this.cluster.update(service.endpoints, settings, service.protocol, this.owner.callOf(resource));
    this.byDefault = this.defaultPlan(resource, this.cluster);
    // A service has no other name than its own: hostnames of routes are for Gateways (GEP-1294).
    this.table =
      routes.length === 0 ? undefined : compileRoutes(routes.map((route) => ({ ...route, hostnames: [] })));
    this.firstWord.wake();
  }

  absent(): void {
    this.state = ABSENT;
    this.resource = undefined;
    this.byDefault = undefined;
    this.table = undefined;
    this.cluster?.close();
    this.cluster = undefined;
    this.firstWord.wake();
  }

  private defaultPlan(resource: ServiceResource, cluster: Cluster): Plan {
    const { settings } = resource;
    return {
      route: '',
      why: `no route is attached to ${this.key}: the service itself`,
      service: this.key,
      settings,
      retryBudget: this.retryBudget,
      chain: composeChain(routeFilters(undefined, settings, this.owner.self)),
      timeoutMs: settings.timeoutMs ?? 0,
      tryTimeoutMs: settings.tryTimeoutMs ?? 0,
      backend: () => cluster,
    };
  }

  close(): void {
    this.absent();
  }
}

function noRule(key: string): LocalAnswer {
  return {
    status: 404,
    code: 'no-route',
    detail: `routes are attached to ${key}, but none matches this request`,
  };
}

/** The Gateway API answers the share of requests of what cannot be used by 500, that nobody takes it for an outage. */
function invalidBackend({ why }: CompiledRule, invalid: string): LocalAnswer {
  return {
    status: 500,
    code: 'invalid-backend',
    detail: `${why} sends this request to what cannot be used: ${invalid}`,
  };
}

/** A rule's retries take the place of the service's. What did not reach a server is always tried again (GEP-1731). */
function retriesOf(
  { attempts, codes }: RouteRetry,
  { retries }: TrafficSettings,
): TrafficSettings['retries'] {
  return {
    attempts: attempts ?? Math.max(1, retries.attempts),
    on: ['connect', 'reset', 'refused-stream', 'try-timeout', ...codes],
  };
}

type PickBackend = (exchange?: Exchange) => RouteBackend | undefined;

/** By weight; a caller that is known again stays with what it got. */
function pickerOf({ source, pickBackend }: CompiledRule, { sticky }: TrafficSettings): PickBackend {
  if (sticky === undefined || !hasChoice(source)) return pickBackend;
  const ofCaller = stickyBackend(source.backends);
  return (exchange) =>
    exchange === undefined || exchange.sticky < 0 ? pickBackend() : ofCaller(exchange.sticky);
}

/** All services that this data plane uses, followed by subscription and dropped when unused. */
export class RunningServices {
  readonly parts: ClusterParts;
  readonly self: string;
  private readonly services = new Map<string, RunningService>();
  private readonly subscription: Subscription;
  private readonly sweeper: NodeJS.Timeout;
  /** Never dropped, and by how many they are held: the workload's own service, what a Gateway's routes name. */
  private readonly pinned = new Map<string, number>();
  private readonly listeners: ((resource: ServiceResource) => void)[] = [];
  private clientCertificate: ListenerCertificate | undefined = undefined;

  /** `self`: the workload whose calls go out here, `namespace/serviceaccount`. */
  constructor(subscription: Subscription, parts: ClusterParts, self = '') {
    this.self = self;
    this.subscription = subscription;
    this.parts = parts;
    subscription.onResource((resource) => {
      if (resource.kind === 'service') this.accept(resource);
      else if (resource.kind === 'gateway') this.present(resource.clientCertificate);
    });
    subscription.onAbsent((kind, key) => {
      if (kind === 'service') this.services.get(key)?.absent();
    });
    this.sweeper = setInterval(() => this.dropUnused(), UNUSED_MS / 6);
    this.sweeper.unref();
  }

  /** The service `key`, subscribed to on its first use. */
  use(key: string, nowMs: number): RunningService {
    let service = this.services.get(key);
    if (service === undefined) {
      if (this.services.size >= MAX_FOLLOWED) this.dropStranger();
      service = new RunningService(key, this);
      this.services.set(key, service);
      this.subscription.want('service', key);
    }
    service.lastUsedMs = nowMs;
    return service;
  }

  /** Follows `key` until it is unpinned as often. */
  pin(key: string): RunningService {
    this.pinned.set(key, (this.pinned.get(key) ?? 0) + 1);
    return this.use(key, performance.now());
  }

  /** It is dropped like any other once nobody uses it. */
  unpin(key: string): void {
    const left = (this.pinned.get(key) ?? 0) - 1;
    if (left > 0) this.pinned.set(key, left);
    else this.pinned.delete(key);
  }

  onService(listener: (resource: ServiceResource) => void): void {
    this.listeners.push(listener);
  }

  /** A rule's plan, composed at its first use and kept with it. */
  planOf(rule: CompiledRule, parent: RunningService): Plan | LocalAnswer {
    const composed = rule.slot as Plan | undefined;
    if (composed !== undefined) return composed;
    const { resource } = parent;
    if (resource === undefined) return noRule(parent.key);
    return this.composePlan(rule, resource.key, resource.settings, parent.retryBudget);
  }

  /**
   * Composes a rule's plan and keeps it with the rule. What the rule itself says goes first, then what policies say of the
   * rule, then `ofService`.
   */
  composePlan(
    rule: CompiledRule,
    service: string,
    ofService: TrafficSettings,
    retryBudget: RetryBudget,
  ): Plan {
    const { retry, policy } = rule.source;
    const settings = settingsWith(ofService, policy);
    const pick = pickerOf(rule, settings);
    const mirrors = mirrorsOf(rule.source, this);
    const plan: Plan = {
      route: rule.route,
      why: rule.why,
      service,
      settings: retry === undefined ? settings : { ...settings, retries: retriesOf(retry, settings) },
      ...(mirrors !== undefined && { mirrors }),
      ...(retry?.backoffMs !== undefined && { backoffMs: retry.backoffMs }),
      retryBudget,
      budgetOf: (backend) => this.services.get(backend)?.retryBudget,
      chain: composeChain(routeFilters(rule.source, settings, this.self)),
      timeoutMs: rule.source.timeoutMs ?? settings.timeoutMs ?? 0,
      tryTimeoutMs: rule.source.tryTimeoutMs ?? settings.tryTimeoutMs ?? 0,
      backend: (exchange) => this.backendOf(rule, exchange, pick),
    };
    rule.slot = plan;
    return plan;
  }

  /** The cluster of the backend that a rule's weights choose. */
  backendOf(
    rule: CompiledRule,
    exchange?: Exchange,
    pick: PickBackend = rule.pickBackend,
  ): Cluster | Pending | LocalAnswer {
    const backend = pick(exchange);
    if (backend === undefined)
      return { status: 500, code: 'no-backend', detail: `${rule.why} has no backend with a weight` };
    if (exchange !== undefined) exchange.backend = backend;
    if (backend.invalid !== undefined) return invalidBackend(rule, backend.invalid);
    return this.use(backend.service, performance.now()).backend();
  }

  /** New TLS credentials: connections made from now on use them. */
  renewConnectors(): void {
    for (const service of this.services.values()) service.cluster?.renewConnectors();
  }

  /** How endpoints of a service that are no mesh peers are called; absent: in plain text. */
  callOf({ tls }: ServiceResource): BackendCall | undefined {
    return tls && { tls, own: this.clientCertificate };
  }

  /** A gateway presents this to services that speak TLS themselves; what showed another serves no new requests. */
  private present(certificate: ListenerCertificate | undefined): void {
    if (isDeepStrictEqual(certificate, this.clientCertificate)) return;
    this.clientCertificate = certificate;
    for (const service of this.services.values()) {
      if (service.resource?.tls !== undefined) service.update(service.resource);
    }
  }

  /** The endpoints that are probed. */
  *checkedEndpoints(): Iterable<CheckedEndpoint> {
    for (const { key, cluster } of this.services.values()) {
      for (const endpoint of cluster?.endpoints ?? []) {
        if (cluster?.healthOf(endpoint) === undefined) continue;
        yield { service: key, endpoint: endpoint.address, healthy: endpoint.healthy };
      }
    }
  }

  /** The endpoints that have failed. */
  *circuits(): Iterable<EndpointCircuit> {
    for (const { key, cluster } of this.services.values()) {
      for (const { address, circuit } of cluster?.endpoints ?? [])
        if (circuit !== undefined) yield { service: key, endpoint: address, ejected: circuit.ejected };
    }
  }

  /** How often endpoints were ejected, as `shop/orders failures`. */
  ejections(): Record<string, number> {
    const found: Record<string, number> = {};
    for (const { key, cluster } of this.services.values()) {
      for (const [reason, count] of Object.entries(cluster?.ejections ?? {}))
        if (count > 0) found[`${key} ${reason}`] = count;
    }
    return found;
  }

  /** Services of which so few endpoints can be used that all are. */
  *panics(): Iterable<string> {
    for (const { key, cluster } of this.services.values()) if (cluster?.panic !== undefined) yield key;
  }

  /** The zone of this proxy is another now. */
  zoneChanged(): void {
    for (const { cluster } of this.services.values()) cluster?.zoneChanged();
  }

  all(): IterableIterator<RunningService> {
    return this.services.values();
  }

  close(): void {
    clearInterval(this.sweeper);
    for (const service of this.services.values()) service.close();
    this.services.clear();
  }

  private accept(resource: ServiceResource): void {
    const service = this.services.get(resource.key);
    if (service === undefined) return;
    // Present before its backends are followed: they must not take its own place.
    service.update(resource);
    for (const route of resource.routes) {
      for (const rule of route.rules)
        for (const { service } of [...rule.backends, ...(rule.mirrors ?? [])])
          this.use(service, performance.now());
    }
    for (const listener of this.listeners) listener(resource);
  }

  private dropUnused(): void {
    const nowMs = performance.now();
    for (const [key, service] of this.services) {
      const use = service.cluster?.use;
      const busy = use !== undefined && use.requests + use.streams > 0;
      if (busy || this.pinned.has(key) || nowMs - service.lastUsedMs < UNUSED_MS) continue;
      this.forget(key, service);
    }
  }

  /**
   * Of the names of which nothing is known, or nothing good, the one that was asked for first. Not one that
   * requests wait for: they would ask for it again at once, and push out others that are waited for.
   */
  private dropStranger(): void {
    for (const [key, service] of this.services) {
      if (service.present || service.firstWord.awaited || this.pinned.has(key)) continue;
      this.forget(key, service);
      return;
    }
  }

  private forget(key: string, service: RunningService): void {
    this.services.delete(key);
    this.subscription.drop('service', key);
    service.close();
  }
}

import type { ServiceResource } from '../../protocol/resources.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import { Cluster, type ClusterParts } from '../balancing/cluster.ts';
import type { Subscription } from '../config/subscription.ts';
import type { LocalAnswer } from '../exchange.ts';
import { composeChain } from '../filters/filter.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import { routeFilters } from '../filters/route-filters.ts';
import type { CheckedEndpoint } from '../telemetry/metrics.ts';
import { FirstWord } from './first-word.ts';
import type { Pending, Plan } from './plan.ts';
import { type CompiledRule, compileRoutes, type RequestView, type RouteTable } from './route-table.ts';

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
    this.cluster.update(service.endpoints, settings, service.protocol);
    this.byDefault = this.defaultPlan(resource, this.cluster);
    this.table = routes.length === 0 ? undefined : compileRoutes(routes);
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
      chain: composeChain([]),
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

/** All services that this data plane uses, followed by subscription and dropped when unused. */
export class RunningServices {
  readonly parts: ClusterParts;
  private readonly services = new Map<string, RunningService>();
  private readonly subscription: Subscription;
  private readonly sweeper: NodeJS.Timeout;
  /** Never dropped: the workload's own service. */
  private readonly pinned = new Set<string>();
  private readonly listeners: ((resource: ServiceResource) => void)[] = [];

  constructor(subscription: Subscription, parts: ClusterParts) {
    this.subscription = subscription;
    this.parts = parts;
    subscription.onResource((resource) => {
      if (resource.kind === 'service') this.accept(resource);
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

  /** Follows `key` for good. */
  pin(key: string): RunningService {
    this.pinned.add(key);
    return this.use(key, performance.now());
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

  /** Composes a rule's plan and keeps it with the rule. Times that the rule leaves open are those of `settings`. */
  composePlan(
    rule: CompiledRule,
    service: string,
    settings: TrafficSettings,
    retryBudget: RetryBudget,
  ): Plan {
    const plan: Plan = {
      route: rule.route,
      why: rule.why,
      service,
      settings,
      retryBudget,
      chain: composeChain(routeFilters(rule.source)),
      timeoutMs: rule.source.timeoutMs ?? settings.timeoutMs ?? 0,
      tryTimeoutMs: rule.source.tryTimeoutMs ?? settings.tryTimeoutMs ?? 0,
      backend: () => this.backendOf(rule),
    };
    rule.slot = plan;
    return plan;
  }

  /** The cluster of the backend that a rule's weights choose. */
  backendOf(rule: CompiledRule): Cluster | Pending | LocalAnswer {
    const key = rule.pickBackend();
    if (key === undefined)
      return { status: 503, code: 'no-backend', detail: `${rule.why} has no backend with a weight` };
    return this.use(key, performance.now()).backend();
  }

  /** New TLS credentials: connections made from now on use them. */
  renewConnectors(): void {
    for (const service of this.services.values()) service.cluster?.renewConnectors();
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
        for (const backend of rule.backends) this.use(backend.service, performance.now());
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

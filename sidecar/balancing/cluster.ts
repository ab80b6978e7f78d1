import { isDeepStrictEqual } from 'node:util';
import type { Endpoint as EndpointDescription } from '../../protocol/endpoint.ts';
import type { Service } from '../../protocol/service.ts';
import type {
  BalancePolicy,
  CircuitBreakerSettings,
  HealthCheck,
  TrafficSettings,
} from '../../protocol/traffic-policy.ts';
import type { Exchange } from '../exchange.ts';
import type { Limits } from '../http/limits.ts';
import { HTTP_2, HTTP_11, type MessageHead } from '../http/message-head.ts';
import { NO_HASH } from '../http/text-hash.ts';
import { type Log, SILENT } from '../log.ts';
import type { PolicyNote } from '../telemetry/explanation.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { BackendCall } from '../upstream/backend-call.ts';
import type { Carried, Connector } from '../upstream/connector.ts';
import { Endpoint } from '../upstream/endpoint.ts';
import { createPoolUse, type PoolLimits, type PoolUse } from '../upstream/pool-use.ts';
import { attemptVerdict } from './attempt-verdict.ts';
import { type Balancer, createBalancer } from './balancer.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import type { EndpointHealth } from './endpoint-health.ts';
import { type HashKey, hashKey } from './hash-key.ts';
import { HealthChecks } from './health-check.ts';
import type { LatencyWindow } from './latency-window.ts';
import { type Panic, panicOf } from './panic.ts';
import { retryLaterMs } from './retry-later.ts';
import { SlowStart } from './slow-start.ts';
import { subset } from './subset.ts';
import { WarmPool } from './warm-pool.ts';
import { ZoneAware } from './zone-aware.ts';

const IDLE_MS = 60_000;
/** Of the requests for an endpoint that asked to be spared, the share that goes to it all the same. */
const SPARED_SHARE = 0.1;
/** How often another is looked for in its place. */
const LOOK = 3;

/**
 * Makes connectors: mesh mTLS where the endpoint has an identity to prove, else TLS as `call` says, else plain.
 * `carries`: what is spoken on them.
 */
type ConnectorFactory = (
  endpoint: EndpointDescription,
  carries: Carried,
  call: BackendCall | undefined,
) => Connector;

export interface ClusterParts {
  readonly connectorFor: ConnectorFactory;
  readonly engineLimits: Limits;
  readonly wheel: TimerWheel;
  /** How long a connect may take, TLS handshake included. */
  readonly connectMs: number;
  readonly log?: Log;
  /** The zone of this proxy, once it is known. */
  readonly zone?: () => string | undefined;
  /** Tells this proxy from others that use the same services. */
  readonly proxy?: string;
}

/** The endpoints of one service with its balancer, and the limits they share. */
export class Cluster {
  readonly service: string;
  readonly use: PoolUse = createPoolUse(() => this.endpoints.some((endpoint) => endpoint.closeOldestIdle()));
  endpoints: Endpoint[] = [];
  balancer: Balancer;
  limits: PoolLimits;
  /** Kept where requests are hedged. */
  latencies: LatencyWindow | undefined = undefined;
  /** What the service is said to speak. */
  protocol: Service['protocol'] = 'detect';
  /** So few endpoints can be used that all are. */
  panic: Panic | undefined = undefined;
  /** Those that requests go to: the healthy ones that are not ejected, or in a panic all. */
  private eligible: readonly Endpoint[] = [];
  private policy: BalancePolicy;
  private hashKey: HashKey | undefined = undefined;
  private zoneAware: ZoneAware | undefined = undefined;
  private slowStart: SlowStart | undefined = undefined;
  private warmPool: WarmPool | undefined = undefined;
  private healthCheck: HealthCheck | undefined = undefined;
  private checks: HealthChecks | undefined = undefined;
  private breaker: CircuitBreaker | undefined = undefined;
  /** A request came since this was last looked at. */
  private used = false;
  /** Absent: in plain text. The same object while nothing in it changes. */
  private call: BackendCall | undefined = undefined;
  private readonly parts: ClusterParts;
  private known = new Map<string, { endpoint: Endpoint; description: EndpointDescription }>();

  constructor(service: string, settings: TrafficSettings, parts: ClusterParts) {
    this.service = service;
    this.parts = parts;
    const { strategy } = settings.balance;
    this.policy = { strategy };
    this.balancer = createBalancer({ strategy });
    this.limits = poolLimits(settings, parts.connectMs);
  }

  /** Takes over a new state: endpoints that stay keep their connections and their history. */
  update(
    descriptions: readonly EndpointDescription[],
    settings: TrafficSettings,
    protocol: Service['protocol'] = 'detect',
    call?: BackendCall,
  ): void {
    this.protocol = protocol;
    const sameCall = isDeepStrictEqual(call, this.call);
    if (!sameCall) this.call = call;
    this.limits = poolLimits(settings, this.parts.connectMs);
    const before = this.known;
    this.known = new Map();
    for (const description of descriptions) {
      if (!description.ready || description.weight === 0) continue;
      const kept = before.get(description.address);
      const { identity } = description;
      // Connections that were verified by other rules serve no new request.
      const same = kept?.description.identity === identity && (sameCall || identity !== undefined);
      const endpoint = (same ? kept?.endpoint : undefined) ?? this.make(description);
      endpoint.fullWeight = description.weight;
      endpoint.zone = description.zone;
      endpoint.setLimits(this.limits);
      this.known.set(description.address, { endpoint, description });
    }
    this.replace(before);
    this.healthCheck = settings.healthCheck;
    this.balance(settings.balance);
    this.breakCircuits(settings.circuitBreaker);
    this.chooseEligible();
  }

  /** The zone of this proxy is another now. */
  zoneChanged(): void {
    this.balance(this.policy);
    this.chooseEligible();
  }

  /** What the policy asks for is made; what stays as it was keeps what it knows. */
  private balance(policy: BalancePolicy): void {
    const zoned = this.findLocal(policy);
    const same = isDeepStrictEqual(policy, this.policy) && zoned === (this.zoneAware !== undefined);
    this.policy = policy;
    if (same) return;
    this.hashKey = hashKeyOf(policy);
    this.zoneAware = zoned ? new ZoneAware(() => createBalancer(policy), Math.random) : undefined;
    this.balancer = this.zoneAware ?? createBalancer(policy);
    const { wheel } = this.parts;
    const { slowStartMs, warm } = policy;
    if (slowStartMs === undefined || slowStartMs !== this.slowStart?.durationMs) {
      this.slowStart?.close();
      this.slowStart =
        slowStartMs === undefined
          ? undefined
          : new SlowStart(slowStartMs, wheel, () => this.chooseEligible());
    }
    if (warm === undefined) this.warmPool?.close();
    this.warmPool = warm === undefined ? undefined : (this.warmPool ?? new WarmPool(wheel));
  }

  /** Marks the endpoints of the own zone. Returns whether the policy, or Kubernetes by its hints, asks to prefer them. */
  private findLocal({ zone: asked, hashOn }: BalancePolicy): boolean {
    const own = this.parts.zone?.();
    let hinted = false;
    for (const { endpoint, description } of this.known.values()) {
      const { zone, forZones } = description;
      if (forZones !== undefined) hinted = true;
      endpoint.local = own !== undefined && (forZones?.includes(own) ?? zone === own);
    }
    return own !== undefined && hashOn === undefined && (asked === 'prefer' || (hinted && asked !== 'off'));
  }

  /** Those that were known before and are no longer get no more requests. */
  private replace(before: typeof this.known): void {
    for (const [address, { endpoint }] of before) {
      if (this.known.get(address)?.endpoint !== endpoint) endpoint.retire();
    }
    this.endpoints = [...this.known.values()].map(({ endpoint }) => endpoint);
  }

  private checkHealth(check: HealthCheck | undefined, members: readonly Endpoint[]): void {
    if (check === undefined) {
      this.checks?.close();
      this.checks = undefined;
      return;
    }
    this.checks ??= this.makeChecks();
    const speaksHttp2 = this.protocol === 'http2' || this.protocol === 'grpc';
    this.checks.update(members, check, speaksHttp2 ? HTTP_2 : HTTP_11);
  }

  private makeChecks(): HealthChecks {
    const { wheel, log = SILENT } = this.parts;
    return new HealthChecks({
      service: this.service,
      wheel,
      log,
      wasUsed: () => {
        const { used } = this;
        this.used = false;
        return used;
      },
      onChange: () => {
        if (this.breaker === undefined) this.chooseEligible();
        else this.breaker.healthChanged();
      },
    });
  }

  private breakCircuits(settings: CircuitBreakerSettings | undefined): void {
    if (settings === undefined) {
      this.breaker?.close();
      this.breaker = undefined;
      return;
    }
    this.breaker ??= this.makeBreaker(settings);
    this.breaker.update(this.endpoints, settings);
  }

  private makeBreaker(settings: CircuitBreakerSettings): CircuitBreaker {
    const { wheel, log = SILENT } = this.parts;
    return new CircuitBreaker(settings, {
      service: this.service,
      wheel,
      log,
      onChange: () => this.chooseEligible(),
    });
  }

  /** The endpoints that this proxy uses at all. */
  private get members(): readonly Endpoint[] {
    const { policy, parts, endpoints } = this;
    return subset(endpoints, policy.subset ?? endpoints.length, parts.proxy ?? '');
  }

  /** Decided on changes, not at each pick. Balancers keep tables for an array: it is always a new one. */
  private chooseEligible(): void {
    const { policy, members, slowStart } = this;
    this.checkHealth(this.healthCheck, members);
    this.breaker?.know(members);
    const available = members.filter((endpoint) => endpoint.available);
    for (const endpoint of members) endpoint.weight = endpoint.fullWeight;
    slowStart?.apply(available, performance.now());
    this.judge(panicOf(available.length, members.length, policy.panicPercent));
    this.eligible = this.panic === undefined ? available : [...members];
    this.zoneAware?.know(members);
    const isHttp2 = this.protocol === 'http2' || this.protocol === 'grpc';
    if (policy.warm !== undefined && this.protocol !== 'tcp')
      this.warmPool?.keep(this.eligible, policy.warm, isHttp2 ? HTTP_2 : HTTP_11);
  }

  private judge(panic: Panic | undefined): void {
    const before = this.panic;
    this.panic = panic;
    const { service } = this;
    const { log = SILENT } = this.parts;
    if (panic !== undefined && before === undefined)
      log.warn({ service }, `${service}: ${panic.note.detail}`);
    if (panic === undefined && before !== undefined)
      log.info({ service }, `${service}: enough endpoints can be used again`);
  }

  /** Ejections so far, by reason; undefined: there is no circuit breaker. */
  get ejections(): CircuitBreaker['ejections'] | undefined {
    return this.breaker?.ejections;
  }

  /** What `pick` chooses among. */
  get candidates(): readonly Endpoint[] {
    return this.eligible;
  }

  /** The health check of an endpoint, if there is one. */
  healthOf(endpoint: Endpoint): EndpointHealth | undefined {
    return this.checks?.of(endpoint);
  }

  /** New connections use new credentials; requests in flight finish on the old ones. */
  renewConnectors(): void {
    for (const { endpoint, description } of this.known.values()) {
      const { connectorFor } = this.parts;
      if (endpoint.mtls)
        endpoint.setConnector(
          connectorFor(description, 'http1', this.call),
          connectorFor(description, 'http2', this.call),
        );
    }
    this.checks?.renew();
  }

  /**
   * Chooses an endpoint for `exchange` (undefined: for an opaque stream), another than `avoid` where there is another
   * that can be used.
   */
  pick(exchange: Exchange | undefined, avoid?: Endpoint): Endpoint | undefined {
    this.used = true;
    const { eligible, breaker } = this;
    if (this.panic !== undefined && avoid === undefined) exchange?.policies.push(this.panic.note);
    if (breaker?.note !== undefined && avoid === undefined) {
      const probed = this.pickProbed(breaker, exchange);
      if (probed !== undefined) return probed;
    }
    const only = eligible.length === 1 ? eligible[0] : undefined;
    if (only !== undefined) return only;
    const hash = this.hashKey === undefined || exchange === undefined ? NO_HASH : this.hashKey(exchange);
    const picked = this.balancer.pick(eligible, avoid, hash);
    return picked === undefined || picked.spareUntilMs === 0
      ? picked
      : this.spare(picked, avoid, hash, exchange);
  }

  /** Most requests for an endpoint that asked to be spared go to another. */
  private spare(
    picked: Endpoint,
    avoid: Endpoint | undefined,
    hash: number,
    exchange: Exchange | undefined,
  ): Endpoint {
    const nowMs = performance.now();
    if (!isSpared(picked, nowMs) || Math.random() < SPARED_SHARE) return picked;
    for (let look = 0; look < LOOK; look++) {
      const other = this.balancer.pick(this.eligible, picked, hash);
      if (other === undefined || other === avoid || isSpared(other, nowMs)) continue;
      exchange?.policies.push(sparedNote(picked, nowMs));
      return other;
    }
    return picked;
  }

  /** An endpoint's response: one that asks for a pause gets less for so long. */
  responded(endpoint: Endpoint, head: MessageHead): void {
    const ms = retryLaterMs(head);
    if (ms > 0) endpoint.spareUntilMs = performance.now() + ms;
  }

  /** While endpoints are ejected: one whose probe this request is. Requests that were tried already are none. */
  private pickProbed(breaker: CircuitBreaker, exchange: Exchange | undefined): Endpoint | undefined {
    const probe = breaker.awaiting.length > 0 ? breaker.takeProbe() : undefined;
    if (probe !== undefined) exchange?.note('circuit-breaker', 'probed', probe.words);
    else if (breaker.note !== undefined) exchange?.policies.push(breaker.note);
    return probe?.endpoint;
  }

  /** An attempt begins at an endpoint that was picked. */
  started(endpoint: Endpoint, nowMs: number): void {
    this.balancer.started(endpoint, nowMs);
    if (endpoint.circuit !== undefined) this.breaker?.began(endpoint, nowMs);
  }

  /**
   * It is over. `latencyMs`: to the response's head. `failed`: by what is the endpoint's fault; `result`: its status,
   * or the reason code or gRPC status that it failed with. `startedMs`: as `started` was told; of
   * what lasts on after its head that is longer ago than its latency. Returns why the endpoint is ejected, if that came of it.
   */
  finished(
    endpoint: Endpoint,
    nowMs: number,
    latencyMs: number,
    failed: boolean,
    result: string,
    startedMs: number,
  ): string | undefined {
    this.balancer.finished(endpoint, nowMs, latencyMs, failed);
    const verdict = attemptVerdict(failed, result);
    return this.breaker?.finished(endpoint, verdict, result, startedMs, nowMs);
  }

  /**
   * An attempt, of which `started` was told at `startedMs`, goes on, but its endpoint has answered well: of a stream that may
   * last, all that is asked of a probe.
   */
  answered(endpoint: Endpoint, startedMs: number): void {
    if (endpoint.circuit !== undefined) this.breaker?.answered(endpoint, startedMs);
  }

  /** The server of an opaque stream that began at `startedMs` said something: all that is known of how it does. */
  succeeded(endpoint: Endpoint, startedMs: number, nowMs: number): void {
    this.breaker?.finished(endpoint, 'success', '', startedMs, nowMs);
  }

  close(): void {
    this.slowStart?.close();
    this.warmPool?.close();
    this.checks?.close();
    this.checks = undefined;
    this.breaker?.close();
    this.breaker = undefined;
    for (const { endpoint } of this.known.values()) endpoint.retire();
    this.known.clear();
    this.endpoints = [];
    this.eligible = [];
  }

  private make(description: EndpointDescription): Endpoint {
    return new Endpoint(description, {
      connector: this.parts.connectorFor(description, 'http1', this.call),
      http2Connector: this.parts.connectorFor(description, 'http2', this.call),
      use: this.use,
      limits: this.limits,
      engineLimits: this.parts.engineLimits,
      wheel: this.parts.wheel,
    });
  }
}

function hashKeyOf({ hashOn }: BalancePolicy): HashKey | undefined {
  return hashOn === undefined ? undefined : hashKey(hashOn);
}

function isSpared(endpoint: Endpoint, nowMs: number): boolean {
  if (endpoint.spareUntilMs > nowMs) return true;
  endpoint.spareUntilMs = 0;
  return false;
}

function sparedNote({ address, spareUntilMs }: Endpoint, nowMs: number): PolicyNote {
  const seconds = ((spareUntilMs - nowMs) / 1000).toFixed(1);
  const detail = `${address} asked to be spared for ${seconds} s more (Retry-After)`;
  return { policy: 'balance', decision: 'passed-over', detail };
}

function poolLimits(settings: TrafficSettings, connectMs: number): PoolLimits {
  return { ...settings.limits, connectMs: settings.connectTimeoutMs ?? connectMs, idleMs: IDLE_MS };
}

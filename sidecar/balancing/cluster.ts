import type { Endpoint as EndpointDescription } from '../../protocol/endpoint.ts';
import type { Service } from '../../protocol/service.ts';
import type { HealthCheck, TrafficSettings } from '../../protocol/traffic-policy.ts';
import type { Limits } from '../http/limits.ts';
import { HTTP_2, HTTP_11 } from '../http/message-head.ts';
import { type Log, SILENT } from '../log.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { Carried, Connector } from '../upstream/connector.ts';
import { Endpoint } from '../upstream/endpoint.ts';
import { createPoolUse, type PoolLimits, type PoolUse } from '../upstream/pool-use.ts';
import { type Balancer, createBalancer } from './balancer.ts';
import type { EndpointHealth } from './endpoint-health.ts';
import { HealthChecks } from './health-check.ts';

const IDLE_MS = 60_000;

/** Makes connectors: plain, or mTLS where the endpoint has an identity to prove. `carries`: what is spoken on them. */
type ConnectorFactory = (endpoint: EndpointDescription, carries: Carried) => Connector;

export interface ClusterParts {
  readonly connectorFor: ConnectorFactory;
  readonly engineLimits: Limits;
  readonly wheel: TimerWheel;
  /** How long a connect may take, TLS handshake included. */
  readonly connectMs: number;
  readonly log?: Log;
}

/** The endpoints of one service with its balancer, and the limits they share. */
export class Cluster {
  readonly service: string;
  readonly use: PoolUse = createPoolUse(() => this.endpoints.some((endpoint) => endpoint.closeOldestIdle()));
  endpoints: Endpoint[] = [];
  balancer: Balancer;
  limits: PoolLimits;
  /** What the service is said to speak. */
  protocol: Service['protocol'] = 'detect';
  /** Those that requests go to: the healthy ones, or all where none is. */
  private eligible: readonly Endpoint[] = [];
  private checks: HealthChecks | undefined = undefined;
  /** A request came since this was last looked at. */
  private used = false;
  private strategy: string;
  private readonly parts: ClusterParts;
  private known = new Map<string, { endpoint: Endpoint; description: EndpointDescription }>();

  constructor(service: string, settings: TrafficSettings, parts: ClusterParts) {
    this.service = service;
    this.parts = parts;
    this.strategy = settings.balance.strategy;
    this.balancer = createBalancer(settings.balance.strategy);
    this.limits = poolLimits(settings, parts.connectMs);
  }

  /** Takes over a new state: endpoints that stay keep their connections and their history. */
  update(
    descriptions: readonly EndpointDescription[],
    settings: TrafficSettings,
    protocol: Service['protocol'] = 'detect',
  ): void {
    this.protocol = protocol;
    this.limits = poolLimits(settings, this.parts.connectMs);
    if (settings.balance.strategy !== this.strategy) {
      this.strategy = settings.balance.strategy;
      this.balancer = createBalancer(settings.balance.strategy);
    }
    const before = this.known;
    this.known = new Map();
    for (const description of descriptions) {
      if (!description.ready || description.weight === 0) continue;
      const kept = before.get(description.address);
      const same = kept !== undefined && kept.description.identity === description.identity;
      const endpoint = same ? kept.endpoint : this.make(description);
      endpoint.weight = description.weight;
      endpoint.zone = description.zone;
      endpoint.setLimits(this.limits);
      this.known.set(description.address, { endpoint, description });
    }
    for (const [address, { endpoint }] of before) {
      if (this.known.get(address)?.endpoint !== endpoint) endpoint.retire();
    }
    this.endpoints = [...this.known.values()].map(({ endpoint }) => endpoint);
    this.checkHealth(settings.healthCheck);
    this.chooseEligible();
  }

  private checkHealth(check: HealthCheck | undefined): void {
    if (check === undefined) {
      this.checks?.close();
      this.checks = undefined;
      return;
    }
    this.checks ??= this.makeChecks();
    const speaksHttp2 = this.protocol === 'http2' || this.protocol === 'grpc';
    this.checks.update(this.endpoints, check, speaksHttp2 ? HTTP_2 : HTTP_11);
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
      onChange: () => this.chooseEligible(),
    });
  }

  /** Decided when health changes, not at each pick. Balancers keep tables for an array: it is always a new one. */
  private chooseEligible(): void {
    const healthy = this.endpoints.filter((endpoint) => endpoint.healthy);
    this.eligible = healthy.length > 0 ? healthy : [...this.endpoints];
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
        endpoint.setConnector(connectorFor(description, 'http1'), connectorFor(description, 'http2'));
    }
    this.checks?.renew();
  }

  /** Chooses an endpoint, another than `avoid` where there is another healthy one. */
  pick(avoid: Endpoint | undefined): Endpoint | undefined {
    this.used = true;
    const { eligible } = this;
    const only = eligible.length === 1 ? eligible[0] : undefined;
    return only ?? this.balancer.pick(eligible, avoid);
  }

  close(): void {
    this.checks?.close();
    this.checks = undefined;
    for (const { endpoint } of this.known.values()) endpoint.retire();
    this.known.clear();
    this.endpoints = [];
    this.eligible = [];
  }

  private make(description: EndpointDescription): Endpoint {
    return new Endpoint(description, {
      connector: this.parts.connectorFor(description, 'http1'),
      http2Connector: this.parts.connectorFor(description, 'http2'),
      use: this.use,
      limits: this.limits,
      engineLimits: this.parts.engineLimits,
      wheel: this.parts.wheel,
    });
  }
}

function poolLimits(settings: TrafficSettings, connectMs: number): PoolLimits {
  return { ...settings.limits, connectMs, idleMs: IDLE_MS };
}

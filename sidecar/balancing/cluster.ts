import type { Endpoint as EndpointDescription } from '../../protocol/endpoint.ts';
import type { Service } from '../../protocol/service.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import type { Limits } from '../http/limits.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { Carried, Connector } from '../upstream/connector.ts';
import { Endpoint } from '../upstream/endpoint.ts';
import { createPoolUse, type PoolLimits, type PoolUse } from '../upstream/pool-use.ts';
import { type Balancer, createBalancer } from './balancer.ts';

const IDLE_MS = 60_000;

/** Makes connectors: plain, or mTLS where the endpoint has an identity to prove. `carries`: what is spoken on them. */
type ConnectorFactory = (endpoint: EndpointDescription, carries: Carried) => Connector;

export interface ClusterParts {
  readonly connectorFor: ConnectorFactory;
  readonly engineLimits: Limits;
  readonly wheel: TimerWheel;
  /** How long a connect may take, TLS handshake included. */
  readonly connectMs: number;
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
  }

  /** New connections use new credentials; requests in flight finish on the old ones. */
  renewConnectors(): void {
    for (const { endpoint, description } of this.known.values()) {
      const { connectorFor } = this.parts;
      if (endpoint.mtls)
        endpoint.setConnector(connectorFor(description, 'http1'), connectorFor(description, 'http2'));
    }
  }

  /** Chooses an endpoint, another than `avoid` where there is one. */
  pick(avoid: Endpoint | undefined): Endpoint | undefined {
    const only = this.endpoints.length === 1 ? this.endpoints[0] : undefined;
    return only ?? this.balancer.pick(this.endpoints, avoid);
  }

  close(): void {
    for (const { endpoint } of this.known.values()) endpoint.retire();
    this.known.clear();
    this.endpoints = [];
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

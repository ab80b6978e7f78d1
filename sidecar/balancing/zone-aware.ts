import type { Balancer } from './balancer.ts';
import type { EndpointLoad } from './endpoint-load.ts';

/** Requests in flight from here at an endpoint of the zone: up to the first all stay, from the second on none is preferred. */
const LOW = 1;
const HIGH = 4;
/** A zone that lost some of its endpoints keeps all of its requests while the rest can carry them (Envoy's figure). */
const OVERPROVISIONED = 1.4;

/**
 * Prefers the endpoints of this proxy's zone. Requests spill to the others by and by: as the zone loses endpoints, and
 * as requests in flight grow there, be it that there are more of them or that they take longer; at the most so that
 * each endpoint of all zones gets its share.
 */
export class ZoneAware implements Balancer {
  private readonly near: Balancer;
  private readonly far: Balancer;
  private readonly random: () => number;
  private of: readonly EndpointLoad[] | undefined = undefined;
  private local: readonly EndpointLoad[] = [];
  private others: readonly EndpointLoad[] = [];
  private all: readonly EndpointLoad[] = [];
  private here: ReadonlySet<EndpointLoad> = new Set();
  /** Of endpoints of the zone that can be used. */
  private inFlight = 0;
  /** The share that stays while the zone is not busy, and the one when it is. */
  private most = 1;
  private least = 1;

  constructor(make: () => Balancer, random: () => number) {
    this.near = make();
    this.far = make();
    this.random = random;
  }

  /** All endpoints, those included that cannot be used: what the zone could carry. */
  know(all: readonly EndpointLoad[]): void {
    this.all = all;
    this.of = undefined;
  }

  pick<E extends EndpointLoad>(endpoints: readonly E[], avoid?: E, hash?: number): E | undefined {
    if (endpoints !== this.of) this.split(endpoints);
    const local = this.local as readonly E[]; // they are of `endpoints`
    const others = this.others as readonly E[];
    return this.staysHere(avoid) ? this.near.pick(local, avoid, hash) : this.far.pick(others, avoid, hash);
  }

  private staysHere(avoid: EndpointLoad | undefined): boolean {
    const { local, others } = this;
    if (local.length === 0 || isOnly(local, avoid)) return others.length === 0;
    if (others.length === 0 || isOnly(others, avoid)) return true;
    return this.random() < this.shareHere();
  }

  private shareHere(): number {
    const busy = (this.inFlight / this.local.length - LOW) / (HIGH - LOW);
    if (busy <= 0) return this.most;
    return busy >= 1 ? this.least : this.most + (this.least - this.most) * busy;
  }

  private split(endpoints: readonly EndpointLoad[]): void {
    this.of = endpoints;
    this.local = endpoints.filter(({ local }) => local);
    this.here = new Set(this.local);
    this.others = endpoints.filter(({ local }) => !local);
    this.inFlight = this.local.reduce((sum, { inFlight }) => sum + inFlight, 0);
    const usable = weightOf(this.local);
    this.least = usable / (usable + weightOf(this.others));
    const whole = weightOf(this.all.filter(({ local }) => local));
    const health = whole > 0 ? Math.min(1, (usable / whole) * OVERPROVISIONED) : 1;
    this.most = Math.max(this.least, health);
  }

  started(endpoint: EndpointLoad, nowMs: number): void {
    if (this.here.has(endpoint)) this.inFlight++;
    (endpoint.local ? this.near : this.far).started(endpoint, nowMs);
  }

  finished(endpoint: EndpointLoad, nowMs: number, latencyMs: number, failed: boolean): void {
    if (this.here.has(endpoint)) this.inFlight--;
    (endpoint.local ? this.near : this.far).finished(endpoint, nowMs, latencyMs, failed);
  }
}

function isOnly(endpoints: readonly EndpointLoad[], avoid: EndpointLoad | undefined): boolean {
  return endpoints.length === 1 && endpoints[0] === avoid;
}

function weightOf(endpoints: readonly EndpointLoad[]): number {
  return endpoints.reduce((sum, { weight }) => sum + weight, 0);
}

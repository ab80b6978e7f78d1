import type { GatewayResource } from '../../protocol/resources.ts';
import type { Subscription } from '../config/subscription.ts';
import type { Quotas } from '../quotas/quotas.ts';
import type { RunningServices } from '../routing/services.ts';
import { GatewayAcceptor } from './gateway-acceptor.ts';
import { GatewayPort, type GatewayPortParts } from './gateway-port.ts';
import { compileGateway, type GatewayTables, NO_TABLES } from './gateway-tables.ts';
import { RulePlans } from './rule-plans.ts';

export interface GatewayPortsParts extends Omit<GatewayPortParts, 'plans'> {
  /** The address of a port, HOST:PORT. */
  addressOf(port: number): string;
  /** Other processes listen on the same ports. */
  readonly reusePort: boolean;
  readonly services: RunningServices;
  readonly quotas: Quotas;
  readonly subscription: Subscription;
}

interface OpenPort {
  readonly acceptor: GatewayAcceptor;
  readonly port: GatewayPort;
}

/** The ports of one Gateway: opened, kept and closed as its listeners come and go. */
export class GatewayPorts {
  resource: GatewayResource | undefined = undefined;
  private readonly parts: GatewayPortsParts;
  private readonly plans: RulePlans;
  private tables: GatewayTables = NO_TABLES;
  private readonly open = new Map<number, OpenPort>();
  /** Without a listening socket, while their connections drain. */
  private readonly closing = new Set<GatewayPort>();
  private heard = false;
  private stopped = false;

  constructor(parts: GatewayPortsParts) {
    this.parts = parts;
    const { gateway, services, subscription } = parts;
    this.plans = new RulePlans(services, gateway, parts.quotas);
    services.onService(() => this.plans.refresh());
    subscription.onResource((resource) => {
      if (resource.kind === 'gateway' && resource.key === gateway) this.update(resource);
    });
    subscription.onAbsent((kind, key) => {
      if (kind === 'gateway' && key === gateway) this.update(undefined);
    });
    subscription.want('gateway', gateway);
  }

  /** Without a resource there is no such Gateway, or no longer. */
  private update(resource: GatewayResource | undefined): void {
    this.heard = true;
    this.resource = resource;
    if (this.stopped) return;
    const before = this.tables.problems;
    this.tables = resource === undefined ? NO_TABLES : compileGateway(resource, this.tables);
    const { gateway, log } = this.parts;
    for (const problem of this.tables.problems) if (!before.includes(problem)) log.warn({ gateway }, problem);
    this.plans.replace(resource?.routes ?? []);
    for (const [number, open] of this.open) if (!this.tables.ports.has(number)) this.closePort(number, open);
    for (const [number, tables] of this.tables.ports) {
      const known = this.open.get(number);
      if (known !== undefined) known.port.update(tables);
      else this.openPort(number, new GatewayPort(tables, { ...this.parts, plans: this.plans }));
    }
  }

  private openPort(number: number, port: GatewayPort): void {
    const { addressOf, log, reusePort } = this.parts;
    const acceptor = new GatewayAcceptor({
      address: addressOf(number),
      reusePort,
      log,
      onSocket: (socket) => port.onSocket(socket),
    });
    this.open.set(number, { acceptor, port });
  }

  private closePort(number: number, { acceptor, port }: OpenPort): void {
    const { drainMs, gateway, log } = this.parts;
    this.open.delete(number);
    acceptor.stop();
    log.info({ gateway, port: number }, 'a port of the Gateway is no longer served: its connections drain');
    this.closing.add(port);
    void port.drain(drainMs).then(() => this.closing.delete(port));
  }

  get count(): number {
    return this.all().reduce((sum, { count }) => sum + count, 0);
  }

  private all(): GatewayPort[] {
    return [...this.closing, ...[...this.open.values()].map(({ port }) => port)];
  }

  /** Says why it is not ready, and what people should look at though it is. */
  tellReadiness(reasons: string[], degraded: string[]): void {
    const { gateway } = this.parts;
    if (this.resource === undefined) {
      reasons.push(
        this.heard
          ? `there is no Gateway ${gateway}, or it is not for the identity of this proxy`
          : `nothing is known of the Gateway ${gateway} yet`,
      );
      return;
    }
    degraded.push(...this.tables.problems, ...endedCertificates(this.tables, Date.now()));
    if (this.open.size === 0) {
      degraded.push(`the Gateway ${gateway} has no listener that is served: nothing is listened on`);
      return;
    }
    const unbound: string[] = [];
    for (const { acceptor } of this.open.values()) {
      if (acceptor.error !== undefined) unbound.push(acceptor.error);
      else if (!acceptor.accepts) reasons.push('its ports are being opened');
    }
    // One port that cannot be bound must not take the others out of the load balancer.
    (unbound.length === this.open.size ? reasons : degraded).push(...unbound);
  }

  /** Takes no more connections. */
  stop(): void {
    this.stopped = true;
    for (const { acceptor } of this.open.values()) acceptor.stop();
  }

  async drain(limitMs: number): Promise<void> {
    this.stop();
    await Promise.all(this.all().map((port) => port.drain(limitMs)));
  }

  destroy(): void {
    this.stop();
    for (const port of this.all()) port.destroy();
  }
}

/** Clients refuse what has ended; it is served all the same, since that is for them to say. */
function endedCertificates({ ports }: GatewayTables, nowMs: number): string[] {
  const ended: string[] = [];
  for (const { tls } of ports.values()) {
    for (const { name, certificates } of tls.values())
      for (const { leaf } of certificates)
        if (leaf.validToDate.getTime() < nowMs)
          ended.push(`a certificate of listener ${name} ended at ${leaf.validToDate.toISOString()}`);
  }
  return ended;
}

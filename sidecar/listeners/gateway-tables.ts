import type { GatewayListener, ListenerCertificate } from '../../protocol/gateway.ts';
import type { GatewayResource } from '../../protocol/resources.ts';
import { type Route, routeKey, TLS_ROUTE } from '../../protocol/route.ts';
import { type ClientCheck, readClientAuthorities } from '../identity/client-authorities.ts';
import { readServerCertificate, type ServerCertificate } from '../identity/server-certificate.ts';
import { ByHost } from '../routing/by-host.ts';
import { compileRoutes, type RouteTable } from '../routing/route-table.ts';

/** What a listener does with its connections. `tls`: ends it, and looks no deeper. */
export type Serves = 'http' | 'https' | 'tls' | 'passthrough';

/** A listener of a Gateway, ready to serve. */
export interface ServedListener {
  readonly name: string;
  readonly serves: Serves;
  readonly routes: RouteTable;
  /** Of `https` and `tls`; empty: none of them can be used, and its clients are refused. */
  readonly certificates: readonly ServerCertificate[];
  /** How clients prove who they are; absent: they are not asked. */
  readonly clients?: ClientCheck;
}

/** The listeners of one port. */
export interface PortTables {
  readonly port: number;
  /** Those for plain HTTP, by Host. */
  readonly http: ByHost<ServedListener>;
  /** Those for TLS, by the server name that a client asks for. */
  readonly tls: ByHost<ServedListener>;
}

export interface GatewayTables {
  readonly ports: ReadonlyMap<number, PortTables>;
  /** Why what is not served is not, a sentence for each; no key is in it. */
  readonly problems: readonly string[];
}

export const NO_TABLES: GatewayTables = { ports: new Map(), problems: [] };

/**
 * Compiles what a Gateway serves. A certificate of `before` that is given again is not read again; where all that
 * a listener is given now cannot be used, it goes on with what it had.
 */
export function compileGateway(resource: GatewayResource, before: GatewayTables): GatewayTables {
  const ports = new Map<number, PortTables>();
  const problems: string[] = [];
  const reader = new CertificateReader(before, problems);
  for (const listener of resource.listeners) {
    const { name, port, hostname } = listener;
    const serves = servesOf(listener);
    if (serves === undefined) {
      problems.push(
        `listener ${name} (${listener.protocol}, port ${port}) is not served: ${whyNot(listener)}`,
      );
      continue;
    }
    let tables = ports.get(port);
    if (tables === undefined) {
      tables = { port, http: new ByHost(), tls: new ByHost() };
      ports.set(port, tables);
    }
    (serves === 'http' ? tables.http : tables.tls).add(hostname, {
      name,
      serves,
      routes: compileRoutes(routesOf(resource, listener, serves)),
      ...(serves === 'https' || serves === 'tls' ? reader.read(listener) : { certificates: [] }),
    });
  }
  return { ports, problems };
}

function servesOf({ protocol, tls }: GatewayListener): Serves | undefined {
  if (protocol === 'HTTP') return 'http';
  const ends = tls?.mode === 'Terminate' && tls.certificates.length > 0;
  if (protocol === 'HTTPS') return ends ? 'https' : undefined;
  if (protocol !== 'TLS') return undefined;
  if (tls === undefined || tls.mode === 'Passthrough') return 'passthrough';
  return ends ? 'tls' : undefined;
}

function whyNot({ protocol, tls }: GatewayListener): string {
  if (protocol === 'TCP') return 'TCP listeners are not served by this version';
  return tls?.mode === 'Passthrough' ? 'HTTPS cannot be passed through' : 'it has no certificate';
}

/** In the order of the resource, which is that of precedence. */
function routesOf(resource: GatewayResource, listener: GatewayListener, serves: Serves): Route[] {
  const attached = listener.routes === undefined ? undefined : new Set(listener.routes);
  const byServerName = serves === 'passthrough' || serves === 'tls';
  return resource.routes.filter((route) => {
    if ((route.kind === TLS_ROUTE) !== byServerName) return false;
    return attached === undefined
      ? namesNoOther(route, resource.key, listener)
      : attached.has(routeKey(route));
  });
}

function namesNoOther({ parents }: Route, gateway: string, { name, port }: GatewayListener): boolean {
  const own = parents.filter(({ kind, key }) => kind === 'Gateway' && key === gateway);
  if (own.length === 0) return true;
  return own.some(
    (parent) =>
      (parent.sectionName === undefined || parent.sectionName === name) &&
      (parent.port === undefined || parent.port === port),
  );
}

type Proofs = Pick<ServedListener, 'certificates' | 'clients'>;

class CertificateReader {
  private readonly problems: string[];
  private readonly known = new Map<string, ServerCertificate>();
  /** By the name of their listener. */
  private readonly before = new Map<string, readonly ServerCertificate[]>();

  constructor(before: GatewayTables, problems: string[]) {
    this.problems = problems;
    for (const { tls } of before.ports.values()) {
      for (const { name, certificates, clients } of tls.values()) {
        this.before.set(name, certificates);
        for (const one of certificates) this.known.set(idOf(one.source, clients), one);
      }
    }
  }

  read(listener: GatewayListener): Proofs {
    const told = listener.tls?.clientAuthorities;
    if (told === undefined) return { certificates: this.certificates(listener) };
    try {
      const clients = readClientAuthorities(told);
      return { clients, certificates: this.certificates(listener, clients) };
    } catch (error) {
      // Its name stays taken: clients must not get to another listener either.
      this.problems.push(`listener ${listener.name} refuses its clients: ${reasonOf(error)}`);
      return { certificates: [] };
    }
  }

  private certificates({ name, tls }: GatewayListener, clients?: ClientCheck): ServerCertificate[] {
    const usable: ServerCertificate[] = [];
    const given = tls?.certificates ?? [];
    for (const [index, source] of given.entries()) {
      try {
        usable.push(this.certificate(source, clients));
      } catch (error) {
        const which = `certificate ${index + 1} of ${given.length} of listener ${name}`;
        this.problems.push(`${which} cannot be used: ${reasonOf(error)}`);
      }
    }
    if (usable.length > 0) return usable;
    const last = this.before.get(name) ?? [];
    if (last.length > 0) this.problems.push(`listener ${name} goes on with the certificate that it had`);
    // The authorities may be others than it had.
    return last.map(({ source }) => this.certificate(source, clients));
  }

  private certificate(source: ListenerCertificate, clients: ClientCheck | undefined): ServerCertificate {
    const id = idOf(source, clients);
    const one = this.known.get(id) ?? readServerCertificate(source, clients);
    this.known.set(id, one);
    return one;
  }
}

function idOf({ certificate, key }: ListenerCertificate, clients: ClientCheck | undefined): string {
  return `${certificate} ${key} ${clients?.id ?? ''}`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { Limits } from '../http/limits.ts';
import type { ClientCheck } from '../identity/client-authorities.ts';
import { certificateFor } from '../identity/server-certificate.ts';
import type { Log } from '../log.ts';
import type { Pending, Plan } from '../routing/plan.ts';
import type { DetectLimits, FirstBytes } from '../tcp/first-bytes.ts';
import { Transport, type TransportReader } from '../transport/transport.ts';
import { type ArrivalHost, adopt, readFirstBytes } from './arrival.ts';
import { Connections } from './connections.ts';
import type { PortTables, ServedListener, Serves } from './gateway-tables.ts';
import { type OpaqueHost, relayOpaque } from './opaque-relay.ts';
import { overloaded } from './overload.ts';
import type { RelayHost } from './relay.ts';
import type { RulePlans } from './rule-plans.ts';
import { type HttpParts, openHttp, serveHttp } from './serve-http.ts';
import { serverNameView, sniUnknown } from './sni-router.ts';
import { hostOf, TlsTermination } from './tls-termination.ts';

/** What all ports of a Gateway have in common. */
export interface GatewayPortParts {
  /** `namespace/name`. */
  readonly gateway: string;
  readonly plans: RulePlans;
  readonly limits: Limits & DetectLimits;
  /** How long requests of a listener that is gone may take, in ms. */
  readonly drainMs: number;
  readonly log: Log;
  httpParts(plan: RelayHost['plan'], connections: Connections, tunnels: RelayHost['tunnels']): HttpParts;
  opaqueHost(connections: Connections): OpaqueHost & ArrivalHost;
}

/** Connections that go with their listener. */
interface Group {
  readonly connections: Connections;
  readonly tunnels: RelayHost['tunnels'];
  readonly http: HttpParts;
  readonly opaque: OpaqueHost & ArrivalHost;
}

/** Ends TLS for all listeners that do the same with it, and check clients in the same way. */
interface Termination {
  readonly kind: 'https' | 'tls';
  readonly clients: ClientCheck | undefined;
  readonly tls: TlsTermination;
}

const NOTHING = Buffer.alloc(0);
const NOBODY: TransportReader = { onBytes() {}, onEnd() {}, onDrain() {}, onClosed() {} };
const ALPNS = { https: ['h2', 'http/1.1'], tls: [] } as const;

/**
 * Serves the connections of one port of a Gateway. Which listener a connection or a request is for is looked up
 * by name each time, so that listeners can change under connections that are open.
 */
export class GatewayPort {
  private tables: PortTables;
  private readonly parts: GatewayPortParts;
  /** Of which it is not known yet what they speak. */
  private readonly arriving: Group;
  /** Those of plain HTTP share theirs: a connection may ask for many hosts. */
  private readonly groups = new Map<string, Group>();
  private readonly leaving = new Set<Group>();
  private readonly terminations = new Map<string, Termination>();

  constructor(tables: PortTables, parts: GatewayPortParts) {
    this.tables = tables;
    this.parts = parts;
    this.arriving = this.makeGroup();
  }

  /** New connections and requests go by `tables` from now on; connections of listeners that are gone drain. */
  update(tables: PortTables): void {
    this.tables = tables;
    const kept = new Set([...tables.tls.values()].map(groupKey));
    if (!tables.http.isEmpty) kept.add(PLAIN);
    for (const [key, group] of this.groups) if (!kept.has(key)) this.leave(key, group);
    const ended = new Set([...tables.tls.values()].map(terminationKey));
    for (const key of this.terminations.keys()) if (!ended.has(key)) this.terminations.delete(key);
    this.tellNameless();
  }

  private leave(key: string, group: Group): void {
    this.groups.delete(key);
    this.leaving.add(group);
    void drainGroup(group, this.parts.drainMs).then(() => this.leaving.delete(group));
  }

  get count(): number {
    return this.all().reduce((sum, { connections }) => sum + connections.count, 0);
  }

  private all(): Group[] {
    return [this.arriving, ...this.groups.values(), ...this.leaving];
  }

  /** Resolves when all connections are gone, or cut after `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    await Promise.all(this.all().map((group) => drainGroup(group, limitMs)));
    // What was still arriving may have become a connection of a new group meanwhile.
    this.destroy();
  }

  destroy(): void {
    for (const { connections } of this.all()) connections.destroy();
  }

  onSocket(socket: Socket): void {
    const { limits } = this.parts;
    const transport = adopt(socket);
    // A TLS client says hello at once; one that speaks HTTP may keep a connection in store.
    const waits = this.tables.http.isEmpty ? { ...limits, idleMs: limits.headMs } : limits;
    readFirstBytes(this.arriving.opaque, transport, 'http', waits, (first) => this.known(transport, first));
  }

  private known(transport: Transport, { protocol, bytes, hello }: FirstBytes): void {
    const first = Buffer.from(bytes);
    if (protocol === 'tls') {
      this.secure(transport, first, hello?.serverName === undefined ? '' : hostOf(hello.serverName), !hello);
      return;
    }
    if (this.servesNoHttp) {
      transport.destroy();
      return;
    }
    const group = this.groupOf(PLAIN);
    const { port } = this.tables;
    serveHttp(group.http, protocol === 'http2' ? 'http2' : 'http1', transport, first, (exchange) => {
      exchange.listenerPort = port;
    });
  }

  /** Who speaks plain HTTP where HTTPS is served is told so; a port of opaque streams has no words for it. */
  private get servesNoHttp(): boolean {
    const { http, tls } = this.tables;
    return http.isEmpty && ![...tls.values()].some(({ serves }) => serves === 'https');
  }

  /** `unread`: its hello came in pieces that are only put together by TLS itself. */
  private secure(transport: Transport, first: Buffer, serverName: string, unread: boolean): void {
    const { tls } = this.tables;
    const listener = unread ? [...tls.values()].find(endsTls) : tls.find(serverName);
    if (listener?.serves === 'passthrough') this.relay(transport, first, serverName, listener);
    else if (listener === undefined || !endsTls(listener))
      this.refuse(transport, first, serverName, this.unknownName(serverName));
    // Where it would lead nowhere, TLS need not be ended first.
    else if (listener.serves === 'tls' && !unread && !hasRoute(listener, serverName))
      this.relay(transport, first, serverName, listener);
    else this.terminateInTime(transport, first, serverName, listener);
  }

  /** A handshake is the dearest thing that a stranger can ask for: those that waited too long are not begun. */
  private terminateInTime(
    transport: Transport,
    first: Buffer,
    serverName: string,
    listener: ServedListener,
  ): void {
    const waitedMs = this.arriving.http.host.overload.excess(performance.now());
    if (waitedMs > 0) this.refuse(transport, first, serverName, overloaded('TLS handshake', waitedMs));
    else this.terminate(transport, first, listener);
  }

  private terminate(transport: Transport, first: Buffer, listener: ServedListener): void {
    const { connections } = this.groupOf(groupKey(listener));
    const socket = transport.release();
    // Once secure it counts as a connection: what closes that closes this.
    socket.once('close', connections.addArriving(socket));
    socket.unshift(first);
    this.termination(listener).tls.secure(socket);
  }

  private termination(listener: ServedListener): Termination {
    const key = terminationKey(listener);
    let termination = this.terminations.get(key);
    if (termination === undefined) {
      termination = this.makeTermination(listener);
      this.terminations.set(key, termination);
      tellNameless(termination, this.secured(termination, ''));
    }
    return termination;
  }

  private makeTermination({ serves, clients }: ServedListener): Termination {
    const kind = serves === 'tls' ? 'tls' : 'https';
    const termination: Termination = {
      kind,
      clients,
      tls: new TlsTermination({
        alpns: ALPNS[kind],
        handshakeMs: this.parts.limits.headMs,
        clients,
        contextFor: (serverName) =>
          certificateFor(this.secured(termination, serverName)?.certificates ?? [], serverName)?.context,
        onSecure: (socket, serverName) => this.onSecure(termination, socket, serverName),
        onFailed: (error, socket) =>
          this.parts.log.debug(
            { port: this.tables.port, peer: socket.remoteAddress, error: error.message },
            'a TLS handshake with a client failed',
          ),
      }),
    };
    return termination;
  }

  private tellNameless(): void {
    for (const termination of this.terminations.values())
      tellNameless(termination, this.secured(termination, ''));
  }

  /** The listener for `serverName`, if that is how its TLS is ended and its clients are checked. */
  private secured({ kind, clients }: Termination, serverName: string): ServedListener | undefined {
    const listener = this.serving(kind, serverName);
    return listener?.clients?.id === clients?.id ? listener : undefined;
  }

  private serving(kind: Serves, serverName: string): ServedListener | undefined {
    const listener = this.tables.tls.find(serverName);
    return listener?.serves === kind ? listener : undefined;
  }

  private onSecure(termination: Termination, socket: TLSSocket, serverName: string): void {
    const listener = this.secured(termination, serverName);
    // It changed while they shook hands, or what it refuses its clients for is new.
    if (listener === undefined || !endsTls(listener)) socket.destroy();
    else if (termination.kind === 'tls')
      this.relay(Transport.wrap(NOBODY, socket), NOTHING, serverName, listener);
    else this.serveHttps(socket, serverName, listener);
  }

  private serveHttps(socket: TLSSocket, serverName: string, listener: ServedListener): void {
    const group = this.groupOf(groupKey(listener));
    const { port } = this.tables;
    const peerAddress = `${socket.remoteAddress}:${socket.remotePort}`;
    const open = (reader: TransportReader): Transport => Transport.wrap(reader, socket);
    const protocol = socket.alpnProtocol === 'h2' ? 'http2' : 'http1';
    const connection = openHttp(group.http, protocol, open, ({ exchange }) => {
      exchange.peerAddress = peerAddress;
      exchange.scheme = 'https';
      exchange.listenerPort = port;
      exchange.serverName = serverName;
    });
    group.connections.add(connection);
  }

  private refuse(client: Transport, first: Buffer, serverName: string, answer: LocalAnswer): void {
    this.relayBy(this.arriving, client, first, serverName, () => answer);
  }

  private unknownName(serverName: string): LocalAnswer {
    return sniUnknown(serverName || undefined, `is for no listener of ${this.words} that can be used`);
  }

  /** Carries a stream that is not looked into. */
  private relay(client: Transport, first: Buffer, serverName: string, listener: ServedListener): void {
    const group = this.groupOf(groupKey(listener));
    this.relayBy(group, client, first, serverName, () => this.planStream(serverName, listener.serves));
  }

  private relayBy(
    { opaque }: Group,
    client: Transport,
    first: Buffer,
    serverName: string,
    plan: () => Plan | Pending | LocalAnswer,
  ): void {
    relayOpaque(opaque, {
      client,
      first,
      plan,
      describe: (exchange) => {
        exchange.host = serverName;
        exchange.listenerPort = this.tables.port;
      },
    });
  }

  private planStream(serverName: string, serves: Serves): Plan | Pending | LocalAnswer {
    const listener = this.serving(serves, serverName);
    const rule = listener?.routes.match(serverNameView(serverName));
    if (rule !== undefined) return this.parts.plans.planOf(rule);
    const whose = listener === undefined ? this.words : `listener ${listener.name} of ${this.parts.gateway}`;
    return sniUnknown(serverName || undefined, `is named by no TLSRoute of ${whose}`);
  }

  private plan(exchange: Exchange): Plan | Pending | LocalAnswer {
    const listener =
      exchange.scheme === 'https' ? this.secureListener(exchange) : this.plainListener(exchange);
    if ('code' in listener) return listener;
    const rule = listener.routes.match(exchange);
    if (rule !== undefined) return this.parts.plans.planOf(rule);
    const { host, path } = exchange;
    return noRoute(
      `no route of listener ${listener.name} of ${this.words} matches host "${host}" and path "${path}"`,
    );
  }

  private plainListener({ host }: Exchange): ServedListener | LocalAnswer {
    const { http } = this.tables;
    const listener = http.find(host);
    if (listener !== undefined) return listener;
    if (http.isEmpty)
      return { status: 400, code: 'tls-required', detail: `${this.words} takes TLS only: call it by https` };
    return this.noListener(host);
  }

  /**
   * The listener that was chosen when the connection came must be the one that the request means (RFC 6066 section
   * 11.1, RFC 9110 section 15.5.20): browsers send requests for other hosts on a connection whose certificate names them.
   */
  private secureListener({ host, serverName }: Exchange): ServedListener | LocalAnswer {
    const { tls } = this.tables;
    const own = tls.find(serverName);
    const meant = host === serverName ? own : tls.find(host);
    if (meant === undefined) return this.noListener(host);
    if (meant === own && meant.serves === 'https') return meant;
    const said = serverName === '' ? 'no server name' : `server name "${serverName}"`;
    const detail = `host "${host}" is of listener ${meant.name} of ${this.words}, and the connection came with ${said}`;
    return { status: 421, code: 'misdirected', detail };
  }

  private noListener(host: string): LocalAnswer {
    return noRoute(`no listener of ${this.words} is for host "${host}"`);
  }

  private get words(): string {
    return `port ${this.tables.port} of ${this.parts.gateway}`;
  }

  private groupOf(key: string): Group {
    let group = this.groups.get(key);
    if (group === undefined) {
      group = this.makeGroup();
      this.groups.set(key, group);
      if (this.arriving.connections.draining) void drainGroup(group, this.parts.drainMs);
    }
    return group;
  }

  private makeGroup(): Group {
    const connections = new Connections();
    const tunnels: RelayHost['tunnels'] = new Set();
    return {
      connections,
      tunnels,
      http: this.parts.httpParts((exchange) => this.plan(exchange), connections, tunnels),
      opaque: this.parts.opaqueHost(connections),
    };
  }
}

/** Plain HTTP of all listeners. No listener of TLS has this key. */
const PLAIN = 'http';

/** Who proved to be known to one authority is not let on where another is asked for. */
function groupKey({ serves, name, clients }: ServedListener): string {
  return clients === undefined ? `${serves} ${name}` : `${serves} ${name} ${clients.id}`;
}

function terminationKey({ serves, clients }: ServedListener): string {
  return clients === undefined ? serves : `${serves} ${clients.id}`;
}

function tellNameless({ tls }: Termination, listener: ServedListener | undefined): void {
  tls.serveNameless(listener?.certificates[0]?.source);
}

function endsTls({ serves, certificates }: ServedListener): boolean {
  return (serves === 'https' || serves === 'tls') && certificates.length > 0;
}

function hasRoute({ routes }: ServedListener, serverName: string): boolean {
  return routes.match(serverNameView(serverName)) !== undefined;
}

function drainGroup({ connections, tunnels }: Group, limitMs: number): Promise<void> {
  for (const tunnel of tunnels) tunnel.drainTunnel();
  return connections.drain(limitMs);
}

function noRoute(detail: string): LocalAnswer {
  return { status: 404, code: 'no-route', detail };
}

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { SpokenProtocol } from '../../protocol/spoken-protocol.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { Limits } from '../http/limits.ts';
import type { IdentitySource } from '../identity/identity.ts';
import { isMeshAlpn, MESH_ALPN, MESH_H2_ALPN, MESH_TCP_ALPN } from '../identity/mesh-alpn.ts';
import type { Log } from '../log.ts';
import type { Pending, Plan } from '../routing/plan.ts';
import type { DetectLimits, FirstBytes } from '../tcp/first-bytes.ts';
import type { ProxyHeader } from '../tcp/proxy-header.ts';
import { ProxyHeaderReader } from '../tcp/proxy-header-reader.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import { Transport, type TransportReader } from '../transport/transport.ts';
import { type ArrivalHost, adopt, hintOpaque, readFirstBytes } from './arrival.ts';
import type { Connections } from './connections.ts';
import type { MtlsParts } from './mtls-parts.ts';
import { addressOf, type OpaqueHost, relayOpaque } from './opaque-relay.ts';
import type { Relay } from './relay.ts';
import { type HttpParts, openHttp, serveHttp } from './serve-http.ts';
import type { TlsAcceptor } from './tls-acceptor.ts';

/** One port of a workload: what the listener asks about it, and what serves its connections. */
export interface InboundWorkload {
  /** Of its service. */
  readonly key: string;
  /** Whether only mesh mTLS is let in, so too while it is not known. */
  readonly strict: boolean;
  /** How its connections are read; `detect` while it is not known. */
  readonly spoken: SpokenProtocol;
  readonly http: HttpParts;
  readonly opaque: OpaqueHost & ArrivalHost;
  /** Whether a stream that is meant for `service` has come to the right place. */
  isFor(service: string, port: number): boolean;
  /** To the application. */
  plan(exchange: Exchange): Plan | Pending | LocalAnswer;
}

export interface InboundParts {
  readonly connections: Connections;
  readonly wheel: TimerWheel;
  readonly log: Log;
  readonly limits: Limits & DetectLimits;
  readonly identity: IdentitySource | undefined;
  readonly mtls: MtlsParts | undefined;
}

const ALPNS = [MESH_H2_ALPN, MESH_ALPN, MESH_TCP_ALPN];
const NOTHING = Buffer.alloc(0);

/** Tells mesh mTLS, other TLS, plain HTTP and opaque streams apart by the first bytes, and serves each its way. */
export class InboundListener {
  private readonly parts: InboundParts;
  private acceptor: TlsAcceptor<InboundWorkload> | undefined = undefined;

  constructor(parts: InboundParts) {
    this.parts = parts;
  }

  /** Takes a connection to `workload`. */
  onSocket(socket: Socket, workload: InboundWorkload): void {
    const { limits, mtls } = this.parts;
    const transport = adopt(socket);
    const { spoken, strict, opaque } = workload;
    if (spoken === 'opaque' && mtls === undefined && !strict) {
      this.relay(transport, NOTHING, workload);
      return;
    }
    const expected = spoken === 'detect' ? 'any' : spoken;
    // In strict mode the client speaks first, or is refused: a sidecar whose hello is late must not be.
    const waits = strict ? { ...limits, detectMs: limits.headMs } : limits;
    readFirstBytes(opaque, transport, expected, waits, (first) => this.known(transport, first, workload));
  }

  private known(
    transport: Transport,
    { protocol, bytes, hello }: FirstBytes,
    workload: InboundWorkload,
  ): void {
    const first = Buffer.from(bytes);
    if (hello?.alpn.some(isMeshAlpn)) this.serveMesh(transport, first, workload);
    else if (protocol === 'http1' || protocol === 'http2')
      serveHttp(workload.http, protocol, transport, first);
    else {
      const { key, spoken, strict, opaque } = workload;
      if (protocol === 'silent' && spoken === 'detect' && !strict)
        hintOpaque(opaque, key, opaque.portOf(key), this.parts.limits.detectMs);
      this.relay(transport, first, workload);
    }
  }

  /** TLS that is not the mesh's is the application's own, and so is what is no HTTP: not read, not changed. */
  private relay(client: Transport, first: Buffer, workload: InboundWorkload): void {
    relayOpaque(workload.opaque, { client, first, plan: (exchange) => workload.plan(exchange) });
  }

  private serveMesh(transport: Transport, first: Buffer, workload: InboundWorkload): void {
    const { connections, log } = this.parts;
    const acceptor = this.tlsAcceptor();
    if (acceptor === undefined) {
      log.warn(
        { peer: transport.socket.remoteAddress },
        'a mesh peer called, but this proxy has no certificate yet',
      );
      transport.destroy();
      return;
    }
    const socket = transport.release();
    // Once secure it counts as a connection: what closes that closes this.
    socket.once('close', connections.addArriving(socket));
    socket.unshift(first);
    acceptor.secure(socket, workload);
  }

  private tlsAcceptor(): TlsAcceptor<InboundWorkload> | undefined {
    const { identity, limits, mtls, log } = this.parts;
    const current = identity?.current();
    if (
      this.acceptor === undefined &&
      identity !== undefined &&
      mtls !== undefined &&
      current !== undefined
    ) {
      this.acceptor = new mtls.TlsAcceptor<InboundWorkload>(
        identity,
        current,
        ALPNS,
        limits.headMs,
        (socket, workload) => this.serveSecure(socket, workload),
        (error, socket) =>
          log.warn({ peer: socket.remoteAddress, error: error.message }, 'a mesh handshake failed'),
      );
    }
    return this.acceptor;
  }

  private serveSecure(socket: TLSSocket, workload: InboundWorkload): void {
    const { connections, identity, log, mtls } = this.parts;
    const peer = mtls?.peerWorkload(socket, identity?.current()?.trustDomain ?? '') ?? {
      refused: 'no identity',
    };
    if ('refused' in peer) {
      log.warn({ peer: socket.remoteAddress, reason: peer.refused }, 'a mesh peer was refused');
      socket.destroy();
      return;
    }
    if (socket.alpnProtocol === MESH_TCP_ALPN) {
      this.serveStream(socket, peer.workload, workload);
      return;
    }
    const peerAddress = `${socket.remoteAddress}:${socket.remotePort}`;
    const describe = (relay: Relay): void => {
      relay.exchange.mtls = true;
      relay.exchange.peer = peer.workload;
      relay.exchange.peerAddress = peerAddress;
    };
    const open = (reader: TransportReader): Transport => Transport.wrap(reader, socket);
    const protocol = socket.alpnProtocol === MESH_H2_ALPN ? 'http2' : 'http1';
    connections.add(openHttp(workload.http, protocol, open, describe));
  }

  /** An opaque stream of a sidecar: its header says for whom it is. */
  private serveStream(socket: TLSSocket, peer: string, workload: InboundWorkload): void {
    const { limits, log, wheel } = this.parts;
    const peerAddress = addressOf(socket.remoteAddress, socket.remotePort);
    const reader = new ProxyHeaderReader(
      wheel,
      limits.headMs,
      (header, rest) => this.relayStream(transport, rest, { peer, header, workload }),
      (detail) => {
        log.warn({ peer, peerAddress, reason: 'bad-stream-header', detail }, 'a mesh peer was refused');
        transport.reset();
      },
    );
    const transport = Transport.wrap(reader, socket);
    reader.open(transport);
  }

  private relayStream(
    client: Transport,
    first: Buffer,
    { peer, header, workload }: { peer: string; header: ProxyHeader; workload: InboundWorkload },
  ): void {
    relayOpaque(workload.opaque, {
      client,
      first,
      plan: (exchange) =>
        workload.isFor(header.service, header.port)
          ? workload.plan(exchange)
          : wrongService(`${header.service}:${header.port}`, workload.key),
      describe(exchange) {
        exchange.mtls = true;
        exchange.peer = peer;
        exchange.host = header.service;
      },
    });
  }

  close(): void {
    this.acceptor?.close();
  }
}

function wrongService(meant: string, own: string): LocalAnswer {
  return {
    status: 421,
    code: 'wrong-service',
    detail: `the stream is meant for ${meant}, and this sidecar stands beside ${own}`,
  };
}

import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { IdentitySource } from '../identity/identity.ts';
import { MESH_ALPN, MESH_H2_ALPN } from '../identity/mesh-alpn.ts';
import type { Log } from '../log.ts';
import { looksLikeTls, readClientHello } from '../tcp/client-hello.ts';
import { splice } from '../tcp/splice.ts';
import { Transport, type TransportReader } from '../transport/transport.ts';
import { splitAddress } from '../upstream/connector.ts';
import { serveHttp1 } from './accept.ts';
import { HttpArrival, type HttpParts } from './http-arrival.ts';
import type { MtlsParts } from './mtls-parts.ts';
import type { Relay } from './relay.ts';
import { serveHttp2 } from './serve-http2.ts';
import type { TlsAcceptor } from './tls-acceptor.ts';

export interface InboundParts extends HttpParts {
  readonly identity: IdentitySource | undefined;
  readonly mtls: MtlsParts | undefined;
  /** Whether only mesh mTLS is let in, so too while it is not known. */
  readonly strict: () => boolean;
  /** Where the application listens. */
  readonly application: string;
  readonly log: Log;
}

const MESH_ALPNS: readonly string[] = [MESH_ALPN, MESH_H2_ALPN];

/** Tells mesh mTLS, other TLS and plain HTTP apart by the first bytes, and serves each its way. */
export class InboundListener {
  private readonly parts: InboundParts;
  private acceptor: TlsAcceptor | undefined = undefined;

  constructor(parts: InboundParts) {
    this.parts = parts;
  }

  onSocket(socket: Socket): void {
    const { limits, connections } = this.parts;
    socket.setTimeout(limits.idleMs, () => socket.destroy());
    const leave = (): void => void socket.destroy();
    socket.on('error', leave);
    socket.on('end', leave);
    const arrived = connections.addArriving(socket);
    socket.once('close', arrived);
    let seen: Buffer = Buffer.alloc(0);
    let endMs = 0;
    const look = (bytes: Buffer): void => {
      seen = seen.length === 0 ? bytes : Buffer.concat([seen, bytes]);
      const hello = looksLikeTls(seen[0]) ? readClientHello(seen) : undefined;
      if (hello === 'more') {
        // The rest of a hello must not take longer than a head may, however it trickles in.
        const nowMs = performance.now();
        if (endMs === 0) endMs = nowMs + limits.headMs;
        if (nowMs < endMs) socket.setTimeout(endMs - nowMs);
        else socket.destroy();
        return;
      }
      socket.off('data', look);
      socket.off('end', leave);
      socket.pause();
      socket.setTimeout(0);
      if (!looksLikeTls(seen[0])) {
        arrived(); // this socket object is given up, and never closes
        this.servePlain(socket, seen);
      } else if (hello?.alpn.some((name) => MESH_ALPNS.includes(name))) this.serveMesh(socket, seen);
      else this.passThrough(socket, seen);
    };
    socket.on('data', look);
    socket.resume();
  }

  private servePlain(socket: Socket, first: Buffer): void {
    const peerAddress = `${socket.remoteAddress}:${socket.remotePort}`;
    const arrival = new HttpArrival(this.parts, socket, (relay) => {
      relay.exchange.peerAddress = peerAddress;
    });
    arrival.onBytes(first, 0, first.length);
  }

  private serveMesh(socket: Socket, first: Buffer): void {
    const acceptor = this.tlsAcceptor();
    if (acceptor === undefined) {
      this.parts.log.warn(
        { peer: socket.remoteAddress },
        'a mesh peer called, but this proxy has no certificate yet',
      );
      socket.destroy();
      return;
    }
    socket.unshift(first);
    acceptor.secure(socket);
  }

  private tlsAcceptor(): TlsAcceptor | undefined {
    const { identity, limits, mtls, log } = this.parts;
    const current = identity?.current();
    if (
      this.acceptor === undefined &&
      identity !== undefined &&
      mtls !== undefined &&
      current !== undefined
    ) {
      this.acceptor = new mtls.TlsAcceptor(
        identity,
        current,
        limits.headMs,
        (socket) => this.serveSecure(socket),
        (error, socket) =>
          log.warn({ peer: socket.remoteAddress, error: error.message }, 'a mesh handshake failed'),
      );
    }
    return this.acceptor;
  }

  private serveSecure(socket: TLSSocket): void {
    const { identity, mtls, log } = this.parts;
    const peer = mtls?.peerWorkload(socket, identity?.current()?.trustDomain ?? '') ?? {
      refused: 'no identity',
    };
    if ('refused' in peer) {
      log.warn({ peer: socket.remoteAddress, reason: peer.refused }, 'a mesh peer was refused');
      socket.destroy();
      return;
    }
    const peerAddress = `${socket.remoteAddress}:${socket.remotePort}`;
    const describe = (relay: Relay): void => {
      relay.exchange.mtls = true;
      relay.exchange.peer = peer.workload;
      relay.exchange.peerAddress = peerAddress;
    };
    const { host, limits, http2, connections } = this.parts;
    const open = (reader: TransportReader): Transport => Transport.wrap(reader, socket);
    connections.add(
      socket.alpnProtocol === MESH_H2_ALPN
        ? serveHttp2(host, limits, http2, open, describe)
        : serveHttp1(host, limits, open, describe),
    );
  }

  /** TLS that is not the mesh's is the application's own: not read, not changed. In strict mode, or while that is unknown, nobody comes in so. */
  private passThrough(socket: Socket, first: Buffer): void {
    const { strict, application, connections, log } = this.parts;
    if (strict()) {
      log.warn(
        { peer: socket.remoteAddress, reason: 'mtls-required' },
        'TLS that is not mesh mTLS was refused: tulle.dev/mtls is strict, or nothing is known of the service yet',
      );
      socket.destroy();
      return;
    }
    const upstream = connect({ ...splitAddress(application), noDelay: true, allowHalfOpen: true });
    upstream.write(first);
    connections.addTunnel(socket);
    splice(socket, upstream, () => {});
  }

  close(): void {
    this.acceptor?.close();
  }
}

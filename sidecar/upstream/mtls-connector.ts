import { connect as connectPlain, type Socket, type TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { peerWorkload } from '../../protocol/peer.ts';
import type { Identity } from '../identity/identity.ts';
import { MESH_ALPN, MESH_H2_ALPN, MESH_TCP_ALPN } from '../identity/mesh-alpn.ts';
import { clientContext } from '../identity/tls-contexts.ts';
import { Transport } from '../transport/transport.ts';
import { type Carried, type Connector, failing, splitAddress } from './connector.ts';

/** What is offered: a sidecar takes the first, a server of another kind the second. */
const ALPN: Readonly<Record<Carried, string[]>> = {
  http1: [MESH_ALPN, 'http/1.1'],
  http2: [MESH_H2_ALPN, 'h2'],
};

/** Mesh mTLS: proves `identity` and believes only a peer that proves `expected` (`namespace/serviceaccount`). */
export function mtlsConnector(
  address: string,
  expected: string,
  current: () => Identity | undefined,
  carries: Carried = 'http1',
): Connector {
  const { host, port } = splitAddress(address);
  let session: Buffer | undefined;
  let sessionOf: Identity | undefined;
  /** End of the peer's certificate, wall clock ms, as of the last full handshake. */
  let verifiedUntil = 0;
  /** Only their tickets are kept: another at the address may be another. */
  const believed = new WeakSet<Socket | TLSSocket>();
  const start = (alpn: string[], how: Partial<ConnectionOptions & TcpNetConnectOpts>): TLSSocket | Socket => {
    const identity = current();
    if (identity === undefined) return failing('this proxy has no certificate yet');
    // The peer would refuse it once the request is on its way (TLS 1.3), and nobody could say that it has not run.
    if (Date.now() >= identity.notAfter) return failing('the certificate of this proxy has ended');
    if (sessionOf !== identity || Date.now() >= verifiedUntil) [session, sessionOf] = [undefined, identity];
    const options: ConnectionOptions = {
      secureContext: clientContext(identity),
      ALPNProtocols: alpn,
      // The name is checked by SPIFFE ID in `verify`, not by DNS.
      checkServerIdentity: () => undefined,
      rejectUnauthorized: true,
      allowHalfOpen: true,
      ...(session !== undefined && { session }),
      ...how,
    };
    const socket = connect(options);
    socket.on('session', (ticket) => {
      if (sessionOf === identity && believed.has(socket)) session = ticket;
    });
    return socket;
  };
  const tcp = { host, port, noDelay: true, keepAlive: true, allowHalfOpen: true };
  return {
    readyEvent: 'secureConnect',
    // tls.connect hands `onread` to its socket, as net.connect does.
    open: (onread) => start(ALPN[carries], { ...tcp, onread }),
    openStream(reader) {
      // With a socket of its own below, TLS can be reset: that tells the peer that a stream was cut.
      const carrier = connectPlain(tcp);
      carrier.on('error', () => {}); // TLS tells of it
      const socket = start([MESH_TCP_ALPN], { socket: carrier });
      if (socket.destroyed) carrier.destroy();
      return Transport.wrap(reader, socket);
    },
    verify(socket, stream = false) {
      const secure = socket as TLSSocket;
      // A server that knows no ALPN finishes the handshake all the same, and would take our header for data.
      if (stream && secure.alpnProtocol !== MESH_TCP_ALPN) return `it does not speak ${MESH_TCP_ALPN}`;
      // A resumed session has no certificate (OpenSSL keeps none for clients): its ticket stands for the
      // peer that was verified when it was given, for as long as that peer's certificate was good.
      if (secure.isSessionReused()) {
        if (Date.now() >= verifiedUntil) return 'the certificate behind its resumed session has ended';
        believed.add(socket);
        return undefined;
      }
      const peer = peerWorkload(secure, current()?.trustDomain ?? '');
      if ('refused' in peer) return peer.refused;
      verifiedUntil = peer.notAfter;
      if (peer.workload === expected) {
        believed.add(socket);
        return undefined;
      }
      session = undefined;
      verifiedUntil = 0;
      return `it proved to be ${peer.workload}, but ${expected} was to be there (serviceAccount of the service)`;
    },
  };
}

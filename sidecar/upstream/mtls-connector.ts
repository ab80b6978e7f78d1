import type { TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { peerWorkload } from '../../protocol/peer.ts';
import type { Identity } from '../identity/identity.ts';
import { MESH_ALPN, MESH_H2_ALPN, MESH_TCP_ALPN } from '../identity/mesh-alpn.ts';
import { clientContext } from '../identity/tls-contexts.ts';
import { type Carried, type Connector, failing, splitAddress } from './connector.ts';

/** What is offered: a sidecar takes the first, a server of another kind the second. */
const ALPN: Readonly<Record<Carried, string[]>> = {
  http1: [MESH_ALPN, 'http/1.1'],
  http2: [MESH_H2_ALPN, 'h2'],
  tcp: [MESH_TCP_ALPN],
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
  return {
    readyEvent: 'secureConnect',
    open(onread: TcpNetConnectOpts['onread']) {
      const identity = current();
      if (identity === undefined) return failing('this proxy has no certificate yet');
      if (sessionOf !== identity || Date.now() >= verifiedUntil) [session, sessionOf] = [undefined, identity];
      const options: ConnectionOptions &
        Pick<TcpNetConnectOpts, 'noDelay' | 'keepAlive' | 'allowHalfOpen' | 'onread'> = {
        host,
        port,
        secureContext: clientContext(identity),
        ALPNProtocols: ALPN[carries],
        // The name is checked by SPIFFE ID in `verify`, not by DNS.
        checkServerIdentity: () => undefined,
        rejectUnauthorized: true,
        noDelay: true,
        keepAlive: true,
        allowHalfOpen: true,
        ...(session !== undefined && { session }),
        onread, // tls.connect hands it to its socket, as net.connect does
      };
      const socket = connect(options);
      socket.on('session', (ticket) => {
        if (sessionOf === identity) session = ticket;
      });
      return socket;
    },
    verify(socket) {
      const secure = socket as TLSSocket;
      // A resumed session has no certificate (OpenSSL keeps none for clients): its ticket stands for the
      // peer that was verified when it was given, for as long as that peer's certificate was good.
      if (secure.isSessionReused())
        return Date.now() < verifiedUntil
          ? undefined
          : 'the certificate behind its resumed session has ended';
      const peer = peerWorkload(secure, current()?.trustDomain ?? '');
      if ('refused' in peer) return peer.refused;
      verifiedUntil = peer.notAfter;
      if (peer.workload === expected) return undefined;
      session = undefined;
      verifiedUntil = 0;
      return `it proved to be ${peer.workload}, but ${expected} was to be there (serviceAccount of the service)`;
    },
  };
}

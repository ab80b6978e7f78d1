import type { X509Certificate } from 'node:crypto';
import { connect as connectPlain, type Socket, type TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { BackendName, BackendTls } from '../../protocol/backend-tls.ts';
import type { ListenerCertificate } from '../../protocol/gateway.ts';
import { subjectUris } from '../../protocol/subject-uris.ts';
import { backendContext } from '../identity/backend-context.ts';
import { Transport } from '../transport/transport.ts';
import { type Carried, type Connector, failing, plainConnector, splitAddress } from './connector.ts';

const ALPN: Readonly<Record<Carried, string>> = { http1: 'http/1.1', http2: 'h2' };

/**
 * TLS with an endpoint that speaks it itself, as a BackendTLSPolicy says. It is believed only if an authority of the
 * policy vouches for one of the policy's names. `own`: the certificate to present if it asks for one.
 */
export function backendTlsConnector(
  address: string,
  tls: BackendTls,
  own: ListenerCertificate | undefined,
  carries: Carried,
): Connector {
  const { host, port } = splitAddress(address);
  const tcp = { host, port, noDelay: true, keepAlive: true, allowHalfOpen: true };
  const plain = plainConnector(address);
  let session: Buffer | undefined;
  /** End of the peer's certificate, wall clock ms, as of the last full handshake. */
  let verifiedUntil = 0;
  /** Only their tickets are kept: another at the address may be another. */
  const believed = new WeakSet<Socket | TLSSocket>();
  const start = (how: Partial<ConnectionOptions & TcpNetConnectOpts>): TLSSocket | Socket => {
    if (tls.invalid !== undefined) return failing(`BackendTLSPolicy ${tls.policy}: ${tls.invalid}`);
    const context = backendContext(tls, own);
    if (typeof context === 'string') return failing(context);
    if (Date.now() >= verifiedUntil) session = undefined;
    const socket = connect({
      secureContext: context,
      servername: tls.serverName,
      // Names are checked in `verify`: they need not be that of the server.
      checkServerIdentity: () => undefined,
      rejectUnauthorized: true,
      allowHalfOpen: true,
      ...(session !== undefined && { session }),
      ...how,
    });
    socket.on('session', (ticket) => {
      if (believed.has(socket)) session = ticket;
    });
    return socket;
  };
  return {
    readyEvent: 'secureConnect',
    forTls: plain,
    open: (onread) => start({ ...tcp, onread, ALPNProtocols: [ALPN[carries]] }),
    openStream(reader) {
      // With a socket of its own below, TLS can be reset: that tells the peer that a stream was cut.
      const carrier = connectPlain(tcp);
      carrier.on('error', () => {}); // TLS tells of it
      const socket = start({ socket: carrier });
      if (socket.destroyed) carrier.destroy();
      return Transport.wrap(reader, socket);
    },
    verify(socket, stream = false) {
      const secure = socket as TLSSocket;
      // Servers that know no ALPN speak HTTP/1.1.
      if (!stream && carries === 'http2' && secure.alpnProtocol !== 'h2')
        return 'it does not speak HTTP/2: it did not choose h2 in the TLS handshake';
      // As for mesh mTLS, a resumed session stands for the peer that was verified when it was given.
      if (secure.isSessionReused()) {
        if (Date.now() >= verifiedUntil) return 'the certificate behind its resumed session has ended';
        believed.add(socket);
        return undefined;
      }
      const certificate = secure.getPeerX509Certificate();
      const refusal = certificate === undefined ? 'it presented no certificate' : refusalOf(certificate, tls);
      verifiedUntil = refusal === undefined ? (certificate?.validToDate.getTime() ?? 0) : 0;
      if (refusal === undefined) believed.add(socket);
      else session = undefined;
      return refusal;
    },
  };
}

/** Why a certificate of a trusted authority is not the one that is meant. */
function refusalOf(certificate: X509Certificate, tls: BackendTls): string | undefined {
  const names: readonly BackendName[] =
    tls.names.length > 0 ? tls.names : [{ type: 'Hostname', value: tls.serverName }];
  if (names.some((name) => proves(certificate, name))) return undefined;
  const field = tls.names.length > 0 ? 'subjectAltNames' : 'hostname';
  const meant = names.map(({ value }) => `"${value}"`).join(' or ');
  return `its certificate names "${certificate.subjectAltName ?? 'nobody'}", but BackendTLSPolicy ${tls.policy} wants ${meant} (${field})`;
}

function proves(certificate: X509Certificate, { type, value }: BackendName): boolean {
  if (value === '') return false;
  if (type === 'URI') return subjectUris(certificate).includes(value);
  // The subject's common name is no name of a server (RFC 9525).
  return certificate.checkHost(value, { subject: 'never', partialWildcards: false }) !== undefined;
}

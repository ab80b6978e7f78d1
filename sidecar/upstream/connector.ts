import { connect, Socket, type TcpNetConnectOpts } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Transport, type TransportReader } from '../transport/transport.ts';

/** What requests are sent in: between sidecars, what ALPN says. */
export type Carried = 'http1' | 'http2';

/** Opens connections to one endpoint. */
export interface Connector {
  readonly readyEvent: 'connect' | 'secureConnect';
  /** Starts to connect; `onread` goes to net.connect or tls.connect as it is. */
  open(onread: TcpNetConnectOpts['onread']): Socket | TLSSocket;
  /** Starts to connect for an opaque stream; where there is TLS, as MESH_TCP_ALPN. */
  openStream(reader: TransportReader): Transport;
  /** For a stream that is TLS already, from end to end; absent: as any other. */
  readonly forTls?: Connector;
  /** Looks at the peer once the socket is ready, of a `stream` or for requests. Returns why it is refused, or undefined. */
  verify(socket: Socket | TLSSocket, stream?: boolean): string | undefined;
}

/** Splits `host:port`, with IPv6 in brackets. Throws on anything else. */
export function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  const digits = address.slice(colon + 1);
  const port = Number(digits);
  if (colon < 1 || !/^\d{1,5}$/.test(digits) || port > 65535) {
    throw new TypeError(`"${address}" is not HOST:PORT, like 127.0.0.1:8080 or [::1]:8080`);
  }
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port };
}

/** Plain TCP. */
export function plainConnector(address: string): Connector {
  const { host, port } = splitAddress(address);
  const open: Connector['open'] = (onread) =>
    connect({ host, port, noDelay: true, keepAlive: true, allowHalfOpen: true, onread });
  return {
    readyEvent: 'connect',
    open,
    openStream: (reader) => Transport.connect(reader, open),
    verify: () => undefined,
  };
}

/** A connector that always fails, with its reason. */
export function refusingConnector(message: string): Connector {
  return {
    readyEvent: 'connect',
    open: () => failing(message),
    openStream: (reader) => Transport.wrap(reader, failing(message)),
    verify: () => message,
  };
}

/** A socket that fails as a refused connection does. */
export function failing(message: string): Socket {
  return new Socket().destroy(new Error(message));
}

import type { Exchange } from '../exchange.ts';
import type { Limits } from '../http/limits.ts';
import type { ServerConnection } from '../http1/server-connection.ts';
import type { Http2Limits } from '../http2/http2-limits.ts';
import type { Http2ServerConnection } from '../http2/server-connection.ts';
import type { Transport, TransportReader } from '../transport/transport.ts';
import { serveHttp1 } from './accept.ts';
import type { Connections } from './connections.ts';
import type { Relay, RelayHost } from './relay.ts';
import { serveHttp2 } from './serve-http2.ts';

/** What it takes to serve HTTP. */
export interface HttpParts {
  readonly host: RelayHost;
  readonly limits: Limits;
  readonly http2: Http2Limits;
  readonly connections: Connections;
}

/** A connection that serves one version of HTTP on what `open` gives. `describe` tells each relay of its caller. */
export function openHttp(
  { host, limits, http2 }: HttpParts,
  protocol: 'http1' | 'http2',
  open: (reader: TransportReader) => Transport,
  describe: (relay: Relay) => void,
): ServerConnection | Http2ServerConnection {
  return protocol === 'http2'
    ? serveHttp2(host, limits, http2, open, describe)
    : serveHttp1(host, limits, open, describe);
}

/** Serves HTTP on a connection of which `first` was read; `protocol` is what that said. */
export function serveHttp(
  parts: HttpParts,
  protocol: 'http1' | 'http2',
  transport: Transport,
  first: Buffer,
  describeMore?: (exchange: Exchange) => void,
): void {
  const { remoteAddress, remotePort } = transport.socket;
  const peerAddress = `${remoteAddress}:${remotePort}`;
  const open = (reader: TransportReader): Transport => {
    transport.reader = reader;
    return transport;
  };
  const describe = (relay: Relay): void => {
    relay.exchange.peerAddress = peerAddress;
    describeMore?.(relay.exchange);
  };
  const connection = openHttp(parts, protocol, open, describe);
  // In this order: a drain closes a connection on which nothing was asked yet.
  connection.onBytes(first, 0, first.length);
  parts.connections.add(connection);
  transport.resume();
}

import type { Limits } from '../http/limits.ts';
import type { Transport } from '../transport/transport.ts';
import { serveHttp1 } from './accept.ts';
import type { Connections } from './connections.ts';
import type { RelayHost } from './relay.ts';

/**
 * Serves HTTP on a connection of which `first` was read. HTTP/2 is not served yet: the HTTP/1 engine refuses
 * its preface with a reason, and closes.
 */
export function serveHttp(
  host: RelayHost,
  limits: Limits,
  connections: Connections,
  transport: Transport,
  first: Buffer,
): void {
  const { remoteAddress, remotePort } = transport.socket;
  const connection = serveHttp1(
    host,
    limits,
    (reader) => {
      transport.reader = reader;
      return transport;
    },
    (relay) => {
      relay.exchange.peerAddress = `${remoteAddress}:${remotePort}`;
    },
  );
  // In this order: a drain closes a connection on which nothing was asked yet.
  connection.onBytes(first, 0, first.length);
  connections.add(connection);
  transport.resume();
}

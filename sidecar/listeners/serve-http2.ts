import type { Limits } from '../http/limits.ts';
import type { Http2Limits } from '../http2/http2-limits.ts';
import { Http2ServerConnection } from '../http2/server-connection.ts';
import type { Transport } from '../transport/transport.ts';
import { Relay, type RelayHost } from './relay.ts';

/** Serves HTTP/2 on a transport: each stream has a relay of its own. */
export function serveHttp2(
  host: RelayHost,
  limits: Limits,
  http2: Http2Limits,
  open: (connection: Http2ServerConnection) => Transport,
  describe: (relay: Relay) => void,
): Http2ServerConnection {
  const connection = new Http2ServerConnection({
    limits,
    http2,
    wheel: host.wheel,
    accept(stream) {
      const relay = new Relay(host, stream, stream.head);
      describe(relay);
      return relay;
    },
    onProtected: (protection) =>
      host.onProtected(protection, connection.transport.socket.remoteAddress ?? 'unknown'),
  });
  connection.open(open(connection));
  return connection;
}

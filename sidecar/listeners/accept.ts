import { createServer, type Server, type Socket } from 'node:net';
import type { Limits } from '../http/limits.ts';
import { ServerConnection } from '../http1/server-connection.ts';
import type { Transport } from '../transport/transport.ts';
import { splitAddress } from '../upstream/connector.ts';
import { Relay, type RelayHost } from './relay.ts';

/** Serves HTTP/1.1 on a socket: plain accepted ones are adopted, TLS ones wrapped. */
export function serveHttp1(
  host: RelayHost,
  limits: Limits,
  open: (connection: ServerConnection) => Transport,
  describe: (relay: Relay) => void,
): ServerConnection {
  // The relay needs its connection and the connection its handler: one of the two comes second.
  const connection = new ServerConnection(undefined as unknown as Relay, limits, host.wheel);
  const relay = new Relay(host, connection, connection.parser.head);
  connection.handler = relay;
  describe(relay);
  connection.open(open(connection));
  return connection;
}

/** A listening socket. */
export interface Acceptor {
  readonly address: string;
  /** Takes no more connections. */
  stop(): void;
}

/**
 * Listens on `address` (HOST:PORT, port 0: the kernel chooses). With `reusePort` other processes may listen
 * on it too: the kernel gives each its share of the connections. Throws an error that names the address.
 */
export function accept(
  address: string,
  onSocket: (socket: Socket) => void,
  reusePort = false,
): Promise<Acceptor> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve, reject) => {
    const server = createServer(
      { noDelay: true, keepAlive: true, allowHalfOpen: true, pauseOnConnect: true },
      onSocket,
    );
    // Later ones are of single connections that could not be accepted: they must not end the process.
    server.on('error', (error: NodeJS.ErrnoException) => {
      reject(new Error(`cannot listen on ${address}: ${error.code ?? error.message}`));
    });
    server.listen({ host, port, backlog: 1024, reusePort }, () => {
      resolve({ address: boundAddress(server), stop: () => server.close() });
    });
  });
}

function boundAddress(server: Server): string {
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the listener has no address');
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}

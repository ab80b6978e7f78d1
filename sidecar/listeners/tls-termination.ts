import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls';
import type { ListenerCertificate } from '../../protocol/gateway.ts';
import type { ClientCheck } from '../identity/client-authorities.ts';
import {
  FOR_CHECKED_STRANGERS,
  FOR_STRANGERS,
  serverContextOptions,
} from '../identity/server-certificate.ts';

/** Whoever learns the keys of tickets can read what was said under them: they do not live as long as the process. */
const TICKET_KEYS_MS = 12 * 3_600_000;

export interface TlsTerminationParts {
  /** What is served, the preferred one first; empty: whatever the client means to speak. */
  readonly alpns: readonly string[];
  readonly handshakeMs: number;
  /** How clients prove who they are; absent: they are not asked. */
  readonly clients?: ClientCheck | undefined;
  /** What proves `serverName` (lower case) to a client that asks for it; undefined: nobody here. */
  contextFor(serverName: string): SecureContext | undefined;
  /** `serverName`: '' when the client named nothing. */
  onSecure(socket: TLSSocket, serverName: string): void;
  onFailed(error: Error, socket: TLSSocket): void;
}

/** Ends TLS of strangers on accepted sockets; never listens itself. */
export class TlsTermination {
  private readonly server: Server;
  private readonly clients: ClientCheck | undefined;
  private readonly base: SecureContextOptions;
  private ticketKeys = randomBytes(48);
  private ticketKeysMs = performance.now();
  private nameless: ListenerCertificate | undefined = undefined;

  constructor({ alpns, handshakeMs, clients, contextFor, onSecure, onFailed }: TlsTerminationParts) {
    this.clients = clients;
    this.base = clients === undefined ? FOR_STRANGERS : FOR_CHECKED_STRANGERS;
    this.server = createServer(
      {
        ...(alpns.length > 0 && { ALPNProtocols: [...alpns] }),
        allowHalfOpen: true,
        handshakeTimeout: handshakeMs,
        // A connection keeps these, whatever context its server name leads to.
        ...this.base,
        ticketKeys: this.ticketKeys,
        ...(clients !== undefined && { requestCert: true, rejectUnauthorized: clients.required }),
        SNICallback: (name, done) => {
          const context = contextFor(hostOf(name));
          if (context === undefined) done(new Error(`no listener is for "${name}"`));
          else done(null, context);
        },
      } as Parameters<typeof createServer>[0],
      (socket: TLSSocket) => {
        if (clients !== undefined && !isProved(socket, clients)) {
          onFailed(new Error('the client did not prove who it is'), socket);
          socket.destroy();
          return;
        }
        const { servername } = socket as { servername?: unknown };
        onSecure(socket, typeof servername === 'string' ? hostOf(servername) : '');
      },
    );
    this.server.on('tlsClientError', (error, socket) => {
      // Of a client that was refused the error only says that the connection ended.
      const { authorizationError: why } = socket;
      onFailed(why ? new Error(`the certificate of the client: ${why}`) : error, socket);
      // Node tells of a handshake that takes too long, but leaves its socket open.
      socket.destroy();
    });
  }

  /** What clients get that name no server; undefined: a handshake that fails. */
  serveNameless(certificate: ListenerCertificate | undefined): void {
    if (certificate === this.nameless) return;
    this.nameless = certificate;
    this.server.setSecureContext(
      certificate === undefined ? this.base : serverContextOptions(certificate, this.clients),
    );
    this.server.setTicketKeys(this.ticketKeys);
  }

  /** Starts the handshake on a socket whose ClientHello is still unread. */
  secure(socket: Socket): void {
    const nowMs = performance.now();
    if (nowMs - this.ticketKeysMs > TICKET_KEYS_MS) this.renewTicketKeys(nowMs);
    this.server.emit('connection', socket);
  }

  /** Sessions that were begun under the old ones are begun anew. */
  private renewTicketKeys(nowMs: number): void {
    this.ticketKeysMs = nowMs;
    this.ticketKeys = randomBytes(48);
    this.server.setTicketKeys(this.ticketKeys);
  }
}

/** Node takes a resumed session without any certificate for authorized: there is none to be resumed, nor is it believed. */
function isProved(socket: TLSSocket, { required }: ClientCheck): boolean {
  return !required || (socket.authorized && !socket.isSessionReused());
}

/** As hosts of requests are compared: lower case, without the trailing dot. */
export function hostOf(serverName: string): string {
  const name = serverName.toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

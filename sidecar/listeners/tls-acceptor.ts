import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Identity, IdentitySource } from '../identity/identity.ts';
import { contextOptions, TicketKeys } from '../identity/tls-contexts.ts';

/** Ends mesh mTLS on accepted sockets, each of which is for a `T`; never listens itself. */
export class TlsAcceptor<T extends object> {
  private readonly server: Server;
  private readonly ticketKeys = new TicketKeys();
  private readonly stopListening: () => void;
  private readonly meantFor = new WeakMap<Socket, T>();

  /**
   * `alpns`: what is served, the preferred one first. `onSecure` gets sockets whose certificate chain was
   * verified by the handshake, which may take `handshakeMs`.
   */
  constructor(
    source: IdentitySource,
    identity: Identity,
    alpns: readonly string[],
    handshakeMs: number,
    onSecure: (socket: TLSSocket, meantFor: T) => void,
    onFailed: (error: Error, socket: TLSSocket) => void,
  ) {
    this.server = createServer(
      {
        ...contextOptions(identity),
        ticketKeys: this.ticketKeys.for(identity),
        sessionIdContext: 'tulle',
        ALPNProtocols: [...alpns],
        requestCert: true,
        rejectUnauthorized: true,
        allowHalfOpen: true,
        handshakeTimeout: handshakeMs,
      } as Parameters<typeof createServer>[0],
      (socket: TLSSocket) => {
        const carrier = (socket as TLSSocket & { _parent?: Socket })._parent; // the socket that secure() was given
        const meantFor = carrier && this.meantFor.get(carrier);
        if (meantFor === undefined) socket.destroy();
        else onSecure(socket, meantFor);
      },
    );
    this.server.on('tlsClientError', (error, socket) => {
      onFailed(error, socket);
      // Node tells of a handshake that takes too long, but leaves its socket open.
      socket.destroy();
    });
    // A renewed leaf serves new connections; those that are open go on with theirs.
    this.stopListening = source.onChange((next) => {
      this.server.setSecureContext({ ...contextOptions(next), sessionIdContext: 'tulle' });
      this.server.setTicketKeys(this.ticketKeys.for(next));
    });
  }

  /** Starts the handshake on a socket whose ClientHello is still unread. */
  secure(socket: Socket, meantFor: T): void {
    this.meantFor.set(socket, meantFor);
    this.server.emit('connection', socket);
  }

  close(): void {
    this.stopListening();
  }
}

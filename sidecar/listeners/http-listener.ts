import type { Socket } from 'node:net';
import type { Limits } from '../http/limits.ts';
import { type ArrivalHost, adopt, readFirstBytes } from './arrival.ts';
import { type OpaqueHost, relayOpaque } from './opaque-relay.ts';
import type { RelayHost } from './relay.ts';
import { serveHttp } from './serve-http.ts';
import type { SniPlan } from './sni-router.ts';

export interface HttpListenerParts {
  readonly host: RelayHost;
  readonly opaque: OpaqueHost & ArrivalHost;
  readonly limits: Limits;
  readonly sniPlan: SniPlan;
}

/** Serves HTTP for many names; TLS passes through, unread, to what its server name means. */
export class HttpListener {
  private readonly parts: HttpListenerParts;

  constructor(parts: HttpListenerParts) {
    this.parts = parts;
  }

  onSocket(socket: Socket): void {
    const { host, opaque, limits, sniPlan } = this.parts;
    const transport = adopt(socket);
    readFirstBytes(opaque, transport, 'http', { ...limits, detectMs: limits.idleMs }, (first) => {
      const bytes = Buffer.from(first.bytes);
      if (first.protocol !== 'tls') {
        serveHttp(host, limits, opaque.connections, transport, bytes);
        return;
      }
      const serverName = first.hello?.serverName?.toLowerCase();
      relayOpaque(opaque, {
        client: transport,
        first: bytes,
        plan: () => sniPlan(serverName),
        describe(exchange) {
          exchange.host = serverName ?? '';
        },
      });
    });
  }
}

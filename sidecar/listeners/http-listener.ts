import type { Socket } from 'node:net';
import { type ArrivalHost, adopt, readFirstBytes } from './arrival.ts';
import { type OpaqueHost, relayOpaque } from './opaque-relay.ts';
import { type HttpParts, serveHttp } from './serve-http.ts';
import type { SniPlan } from './sni-router.ts';

export interface HttpListenerParts {
  readonly http: HttpParts;
  readonly opaque: OpaqueHost & ArrivalHost;
  readonly sniPlan: SniPlan;
}

/** Serves HTTP for many names; TLS passes through, unread, to what its server name means. */
export class HttpListener {
  private readonly parts: HttpListenerParts;

  constructor(parts: HttpListenerParts) {
    this.parts = parts;
  }

  onSocket(socket: Socket): void {
    const { http, opaque, sniPlan } = this.parts;
    const { limits } = http;
    const transport = adopt(socket);
    readFirstBytes(opaque, transport, 'http', { ...limits, detectMs: limits.idleMs }, (first) => {
      const bytes = Buffer.from(first.bytes);
      if (first.protocol !== 'tls') {
        serveHttp(http, first.protocol === 'http2' ? 'http2' : 'http1', transport, bytes);
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

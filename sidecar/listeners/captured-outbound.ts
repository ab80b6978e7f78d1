import type { Socket } from 'node:net';
import type { RunningAddresses } from '../routing/addresses.ts';
import { isPending, type Plan } from '../routing/plan.ts';
import type { RunningServices } from '../routing/services.ts';
import type { Transport } from '../transport/transport.ts';
import { adopt } from './arrival.ts';
import { addressOf, relayOpaque } from './opaque-relay.ts';
import type { OriginalDestination } from './original-destination.ts';
import { type OutboundParts, serveOutbound } from './outbound-service.ts';
import type { IpPort } from './socket-address.ts';
import { waitArriving } from './wait-arriving.ts';

export interface CapturedOutboundParts extends OutboundParts {
  readonly services: RunningServices;
  readonly addresses: RunningAddresses;
  readonly originalDestination: OriginalDestination;
  /** Whether somebody called the sidecar itself. */
  isSelf(meant: IpPort): boolean;
}

const NOTHING = Buffer.alloc(0);

/** Takes the workload's own calls, which the pod's rules redirect here, by the address to which they were made. */
export class CapturedOutbound {
  private readonly parts: CapturedOutboundParts;

  constructor(parts: CapturedOutboundParts) {
    this.parts = parts;
  }

  onSocket(socket: Socket): void {
    const { originalDestination, isSelf, opaque } = this.parts;
    const meant = originalDestination(socket);
    if (meant === undefined || isSelf(meant)) {
      // To pass it on would mean to call oneself, and so for ever.
      const detail = 'it was made to the sidecar itself, and not redirected to it';
      opaque.log.warn({ listener: 'outbound', detail }, 'a connection was refused');
      socket.resetAndDestroy();
      return;
    }
    this.route(adopt(socket), addressOf(meant.host, meant.port));
  }

  private route(transport: Transport, address: string): void {
    const { addresses, opaque, services } = this.parts;
    const nowMs = performance.now();
    const whereto = addresses.whereto(address, nowMs);
    if (isPending(whereto))
      waitArriving(opaque.connections, transport, whereto, () => this.route(transport, address));
    else if ('service' in whereto) serveOutbound(this.parts, services.use(whereto.service, nowMs), transport);
    else this.pass(transport, address, whereto.passing);
  }

  /** What is no service of the mesh is not read. */
  private pass(client: Transport, address: string, plan: Plan): void {
    relayOpaque(this.parts.opaque, {
      client,
      first: NOTHING,
      plan: () => plan,
      describe(exchange) {
        exchange.host = address;
      },
    });
  }
}

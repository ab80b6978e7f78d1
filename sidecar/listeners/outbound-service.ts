import type { Socket } from 'node:net';
import { type SpokenProtocol, spokenProtocol } from '../../protocol/spoken-protocol.ts';
import type { RunningService } from '../routing/services.ts';
import type { DetectLimits, FirstBytes } from '../tcp/first-bytes.ts';
import type { Transport } from '../transport/transport.ts';
import { type ArrivalHost, adopt, hintOpaque, readFirstBytes } from './arrival.ts';
import { type OpaqueHost, relayOpaque } from './opaque-relay.ts';

export interface OutboundServiceParts {
  readonly service: RunningService;
  readonly opaque: OpaqueHost & ArrivalHost;
  readonly limits: DetectLimits;
  /** Serves HTTP/1 or HTTP/2 to the one service. */
  serveHttp(transport: Transport, first: Buffer, protocol: 'http1' | 'http2', service: RunningService): void;
}

const NOTHING = Buffer.alloc(0);

/** Takes a workload's calls to one service, whatever they speak. */
export class OutboundServiceListener {
  private readonly parts: OutboundServiceParts;

  constructor(parts: OutboundServiceParts) {
    this.parts = parts;
  }

  onSocket(socket: Socket): void {
    const { service, opaque } = this.parts;
    const transport = adopt(socket);
    service.lastUsedMs = performance.now();
    if (!service.isUnknown) {
      this.read(transport);
      return;
    }
    // How to read it is not known: the wait for the protocol begins after that for the configuration.
    const arrived = opaque.connections.addArriving(transport);
    const cancel = service.firstWord.wait(() => {
      arrived();
      this.read(transport);
    });
    transport.socket.once('close', () => {
      cancel();
      arrived();
    });
  }

  private read(transport: Transport): void {
    const { service, opaque, limits } = this.parts;
    const { resource } = service;
    const spoken: SpokenProtocol =
      resource === undefined ? 'opaque' : spokenProtocol(resource.service, resource.settings);
    if (spoken === 'opaque') this.relay(transport, NOTHING);
    else {
      const expected = spoken === 'http' ? 'http' : 'any';
      readFirstBytes(opaque, transport, expected, limits, (first) => this.known(transport, first));
    }
  }

  private known(transport: Transport, { protocol, bytes }: FirstBytes): void {
    const { service, opaque, limits, serveHttp } = this.parts;
    const first = Buffer.from(bytes);
    if (protocol === 'http1' || protocol === 'http2') {
      serveHttp(transport, first, protocol, service);
      return;
    }
    if (protocol === 'silent') hintOpaque(opaque, service.key, opaque.portOf(service.key), limits.detectMs);
    this.relay(transport, first);
  }

  private relay(client: Transport, first: Buffer): void {
    const { service, opaque } = this.parts;
    relayOpaque(opaque, { client, first, plan: () => service.opaquePlan() });
  }
}

import type { Socket } from 'node:net';
import { type SpokenProtocol, spokenProtocol } from '../../protocol/spoken-protocol.ts';
import type { RunningService } from '../routing/services.ts';
import type { DetectLimits, FirstBytes } from '../tcp/first-bytes.ts';
import type { Transport } from '../transport/transport.ts';
import { type ArrivalHost, adopt, hintOpaque, readFirstBytes } from './arrival.ts';
import { type OpaqueHost, relayOpaque } from './opaque-relay.ts';
import { type HttpParts, serveHttp } from './serve-http.ts';
import { waitArriving } from './wait-arriving.ts';

export interface OutboundParts {
  readonly opaque: OpaqueHost & ArrivalHost;
  readonly limits: DetectLimits;
  /** To serve HTTP to one service. */
  httpFor(service: RunningService): HttpParts;
}

const NOTHING = Buffer.alloc(0);

/** Takes a workload's calls to one service, whatever they speak. */
export class OutboundServiceListener {
  private readonly parts: OutboundParts;
  private readonly service: RunningService;

  constructor(parts: OutboundParts, service: RunningService) {
    this.parts = parts;
    this.service = service;
  }

  onSocket(socket: Socket): void {
    serveOutbound(this.parts, this.service, adopt(socket));
  }
}

/** Serves a connection to `service`. How to read it may not be known yet: the wait for its protocol begins after that. */
export function serveOutbound(parts: OutboundParts, service: RunningService, transport: Transport): void {
  service.lastUsedMs = performance.now();
  if (service.isUnknown)
    waitArriving(parts.opaque.connections, transport, service.firstWord, () =>
      read(parts, service, transport),
    );
  else read(parts, service, transport);
}

function read(parts: OutboundParts, service: RunningService, transport: Transport): void {
  const { opaque, limits } = parts;
  const { resource } = service;
  const spoken: SpokenProtocol =
    resource === undefined ? 'opaque' : spokenProtocol(resource.service, resource.settings);
  if (spoken === 'opaque') relay(parts, service, transport, NOTHING);
  else {
    const expected = spoken === 'http' ? 'http' : 'any';
    readFirstBytes(opaque, transport, expected, limits, (first) => known(parts, service, transport, first));
  }
}

function known(
  parts: OutboundParts,
  service: RunningService,
  transport: Transport,
  { protocol, bytes }: FirstBytes,
): void {
  const { opaque, limits } = parts;
  const first = Buffer.from(bytes);
  if (protocol === 'http1' || protocol === 'http2') {
    serveHttp(parts.httpFor(service), protocol, transport, first);
    return;
  }
  if (protocol === 'silent') hintOpaque(opaque, service.key, opaque.portOf(service.key), limits.detectMs);
  relay(parts, service, transport, first);
}

function relay({ opaque }: OutboundParts, service: RunningService, client: Transport, first: Buffer): void {
  relayOpaque(opaque, { client, first, plan: () => service.opaquePlan() });
}

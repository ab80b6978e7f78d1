import type { Socket } from 'node:net';
import type { ListenerKind } from '../exchange.ts';
import type { Log } from '../log.ts';
import type { Expected } from '../tcp/detect.ts';
import { type DetectLimits, type FirstBytes, FirstBytesReader } from '../tcp/first-bytes.ts';
import type { Detections } from '../telemetry/detections.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import { Transport, type TransportReader } from '../transport/transport.ts';
import type { Connections } from './connections.ts';

/** What a listener needs to find out what its connections speak. */
export interface ArrivalHost {
  readonly kind: ListenerKind;
  readonly wheel: TimerWheel;
  readonly connections: Connections;
  readonly detections: Detections;
  readonly log: Log;
}

const NOBODY: TransportReader = { onBytes() {}, onEnd() {}, onDrain() {}, onClosed() {} };

/** Takes an accepted socket over. Nothing is read of it yet. */
export function adopt(socket: Socket): Transport {
  const transport = Transport.adopt(NOBODY, socket);
  transport.pause();
  return transport;
}

/** Reads until it is known what `transport` speaks. Meanwhile a drain does not wait for it. */
export function readFirstBytes(
  host: ArrivalHost,
  transport: Transport,
  expected: Expected,
  limits: DetectLimits,
  onKnown: (first: FirstBytes) => void,
): void {
  const { kind, wheel, connections, detections } = host;
  const reader: FirstBytesReader = new FirstBytesReader(
    wheel,
    limits,
    expected,
    (first) => {
      arrived();
      detections.count(kind, first.protocol === 'silent' ? 'opaque' : first.protocol);
      if (first.protocol === 'silent') detections.countTimeout(kind);
      onKnown(first);
    },
    () => arrived(),
  );
  const arrived = connections.addArriving(reader);
  transport.reader = reader;
  reader.open(transport);
}

/** Once for a service: how to spare its connections the wait. */
export function hintOpaque(host: ArrivalHost, service: string, port: number, waitedMs: number): void {
  if (!host.detections.firstHint(service)) return;
  host.log.info(
    { listener: host.kind, service, port, waitedMs },
    `nothing came for ${waitedMs} ms on a connection to ${service}, so its server is taken to speak first, and the connection is relayed as opaque TCP; to spare the wait, set appProtocol: tcp (protocol: tcp in a mesh file) or annotate the service with tulle.dev/opaque-ports: "${port}"`,
  );
}

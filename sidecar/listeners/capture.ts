import type { ClusterParts } from '../balancing/cluster.ts';
import type { Subscription } from '../config/subscription.ts';
import type { Probe } from '../filters/probe.ts';
import type { Limits } from '../http/limits.ts';
import type { IdentitySource } from '../identity/identity.ts';
import type { Log } from '../log.ts';
import type { Quotas } from '../quotas/quotas.ts';
import { RunningAddresses } from '../routing/addresses.ts';
import { isAnswer } from '../routing/plan.ts';
import type { RunningService, RunningServices } from '../routing/services.ts';
import type { RunningWorkload } from '../routing/workload.ts';
import type { DetectLimits } from '../tcp/first-bytes.ts';
import { anyAddress, hasIpv6 } from '../transport/any-address.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { ArrivalHost } from './arrival.ts';
import { CapturedInbound, type CapturedPort } from './captured-inbound.ts';
import { CapturedOutbound } from './captured-outbound.ts';
import type { Connections } from './connections.ts';
import { InboundRouter } from './inbound.ts';
import { InboundListener } from './inbound-listener.ts';
import type { MtlsParts } from './mtls-parts.ts';
import type { OpaqueHost } from './opaque-relay.ts';
import { type OriginalDestination, openOriginalDestination } from './original-destination.ts';
import type { PodOptions } from './pod.ts';
import type { RelayHost } from './relay.ts';
import type { HttpParts } from './serve-http.ts';
import type { IpPort } from './socket-address.ts';

/** What a data plane gives to its captured listeners. */
export interface CaptureParts {
  readonly pod: PodOptions;
  readonly workload: RunningWorkload;
  readonly services: RunningServices;
  readonly subscription: Subscription;
  readonly clusters: ClusterParts;
  readonly quotas: Quotas;
  readonly identity: IdentitySource | undefined;
  readonly mtls: MtlsParts | undefined;
  /** Of calls to the pod; those that it makes are the data plane's other ones. */
  readonly inboundConnections: Connections;
  readonly wheel: TimerWheel;
  readonly log: Log;
  readonly limits: Limits & DetectLimits;
  httpParts(kind: 'inbound' | 'outbound', plan: RelayHost['plan']): HttpParts;
  opaqueHost(kind: 'inbound' | 'outbound', admit?: OpaqueHost['admit']): OpaqueHost & ArrivalHost;
  listen(address: string, onSocket: Parameters<typeof import('./accept.ts').accept>[1]): Promise<string>;
}

/** How a connection that was redirected is told from one that was made to the sidecar itself. */
interface Redirected {
  readonly originalDestination: OriginalDestination;
  isSelf(meant: IpPort): boolean;
}

/** The captured listeners of a pod. */
export interface Capture {
  readonly addresses: { readonly inbound: string; readonly outbound: string };
  close(): void;
}

/** Opens the listeners to which a pod's rules redirect. Throws an Error that names what cannot be used. */
export async function openCapture(parts: CaptureParts): Promise<Capture> {
  const { pod } = parts;
  const originalDestination = pod.originalDestination ?? openOriginalDestination();
  const addresses = new RunningAddresses(parts.subscription, parts.clusters);
  const bound = { inbound: 0, outbound: 0 };
  const own = new Set(['127.0.0.1', '::1', ...pod.ips]);
  const redirected: Redirected = {
    originalDestination,
    isSelf: ({ host, port }) => own.has(host) && (port === bound.inbound || port === bound.outbound),
  };
  const outbound = capturedOutbound(parts, addresses, redirected);
  const [inbound, closeInbound] = capturedInbound(parts, redirected);
  const loopback = hasIpv6() ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'];
  const outboundAddresses: string[] = [];
  for (const host of loopback) {
    // With port 0 both families get the same.
    const address = `${host}:${bound.outbound || pod.outboundPort}`;
    outboundAddresses.push(await parts.listen(address, (socket) => outbound.onSocket(socket)));
    bound.outbound = portOf(outboundAddresses[0] ?? '');
  }
  // Only loopback for what the pod sends: nobody else may send by its identity.
  const inboundAddress = await parts.listen(anyAddress(pod.inboundPort), (socket) =>
    inbound.onSocket(socket),
  );
  bound.inbound = portOf(inboundAddress);
  return {
    addresses: { inbound: inboundAddress, outbound: outboundAddresses[0] ?? '' },
    close() {
      closeInbound();
      addresses.close();
    },
  };
}

function capturedOutbound(
  { services, limits, opaqueHost, httpParts }: CaptureParts,
  addresses: RunningAddresses,
  redirected: Redirected,
): CapturedOutbound {
  /** Made once for a service, as long as it is followed. */
  const made = new WeakMap<RunningService, HttpParts>();
  const httpFor = (service: RunningService): HttpParts => {
    const known = made.get(service);
    if (known !== undefined) return known;
    const { key } = service;
    // By name at each request: a connection may outlive the service as it is followed now.
    const parts = httpParts('outbound', (exchange) =>
      unlessGone(services.use(key, exchange.startMs).planFor(exchange)),
    );
    made.set(service, parts);
    return parts;
  };
  const opaque = opaqueHost('outbound');
  return new CapturedOutbound({ services, addresses, limits, opaque, httpFor, ...redirected });
}

function capturedInbound(parts: CaptureParts, redirected: Redirected): [CapturedInbound, close: () => void] {
  const { pod, identity, mtls, inboundConnections, log, limits, wheel } = parts;
  const listener = new InboundListener({
    connections: inboundConnections,
    identity,
    mtls,
    log,
    limits,
    wheel,
  });
  const inbound = new CapturedInbound({
    listener,
    podIps: new Set(pod.ips),
    log,
    ...redirected,
    open: (host, port) => capturedPort(parts, host, port),
  });
  const close = (): void => {
    listener.close();
    inbound.close();
  };
  return [inbound, close];
}

/** The address was the service's when the connection was made: its caller named nothing that is not found. */
function unlessGone(planned: ReturnType<RelayHost['plan']>): ReturnType<RelayHost['plan']> {
  return isAnswer(planned) && planned.code === 'no-service' ? { ...planned, status: 503 } : planned;
}

/** To the application at the very address that the caller meant: it may listen on no other. */
function capturedPort(parts: CaptureParts, host: string, port: number): CapturedPort {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const probes = parts.pod.probes.filter((probe): probe is Probe & { port: number } => {
    return probe.port === port && probe.kind !== 'tcp';
  });
  const router = new InboundRouter(parts.workload.port(port), address, parts.clusters, parts.quotas, probes);
  return Object.assign(router, {
    http: parts.httpParts('inbound', () => router.plan()),
    opaque: { ...parts.opaqueHost('inbound', (caller) => router.admit(caller)), portOf: () => port },
  });
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

import { hostname } from 'node:os';
import type { Endpoint as EndpointDescription } from '../protocol/endpoint.ts';
import type { Resource } from '../protocol/resources.ts';
import { VERSION } from '../protocol/version.ts';
import type { ClusterParts } from './balancing/cluster.ts';
import type { SubscriptionSessions } from './config/control-plane.ts';
import { ownEndpointsPlain } from './config/own-endpoints.ts';
import { sharedOut } from './config/shared-out.ts';
import { openStandalone } from './config/standalone.ts';
import type { Subscription } from './config/subscription.ts';
import { DEFAULT_LIMITS, type Limits } from './http/limits.ts';
import { DEFAULT_HTTP2_LIMITS } from './http2/http2-limits.ts';
import type { IdentitySource } from './identity/identity.ts';
import { type Acceptor, accept } from './listeners/accept.ts';
import { openAdminPorts } from './listeners/admin-ports.ts';
import { certsView, configView, type Readiness } from './listeners/admin-views.ts';
import type { ArrivalHost } from './listeners/arrival.ts';
import { Connections } from './listeners/connections.ts';
import { forwardedFor } from './listeners/forwarded-for.ts';
import { GatewayRouter } from './listeners/gateway.ts';
import type { GatewayPorts } from './listeners/gateway-ports.ts';
import { HttpListener } from './listeners/http-listener.ts';
import { InboundRouter } from './listeners/inbound.ts';
import { InboundListener } from './listeners/inbound-listener.ts';
import { Mirroring } from './listeners/mirroring.ts';
import type { MtlsParts } from './listeners/mtls-parts.ts';
import type { OpaqueHost } from './listeners/opaque-relay.ts';
import { OutboundRouter } from './listeners/outbound.ts';
import { OutboundServiceListener } from './listeners/outbound-service.ts';
import { Overload } from './listeners/overload.ts';
import type { RelayHost } from './listeners/relay.ts';
import { RetryChain } from './listeners/retry-chain.ts';
import type { HttpParts } from './listeners/serve-http.ts';
import { type SniPlan, sniOfServices } from './listeners/sni-router.ts';
import { type Log, SILENT } from './log.ts';
import { returnMemory } from './memory-return.ts';
import { openIdentity } from './open-identity.ts';
import type { Addresses, DataPlaneView, RunningSidecar, SidecarOptions } from './options.ts';
import { openQuotas, Quotas } from './quotas/quotas.ts';
import { policyOfService } from './routing/inbound-policy.ts';
import { RunningServices } from './routing/services.ts';
import type { RunningWorkload } from './routing/workload.ts';
import { createMetrics } from './telemetry/metrics.ts';
import { Recorder } from './telemetry/recorder.ts';
import { TimerWheel } from './transport/timer-wheel.ts';
import type { BackendCall } from './upstream/backend-call.ts';
import { type Carried, plainConnector, refusingConnector } from './upstream/connector.ts';

const DRAIN_MS = 10_000;
const CONNECT_MS = 2_000;
const MAX_QUEUE_MS = 250;
const DETECT_MS = 1_000;
const TCP_IDLE_MS = 3_600_000;
/** How long a permissive pod waits, not ready, for a control plane. */
const WITHOUT_AFTER_MS = 10_000;

/**
 * Starts a data plane: configuration, identity, listeners, admin port. Resolves once all of them accept.
 * Throws an Error that names what cannot be used.
 */
export async function startSidecar(options: SidecarOptions, log: Log = SILENT): Promise<RunningSidecar> {
  const sidecar = new Sidecar(options, log);
  try {
    await sidecar.start();
  } catch (error) {
    await sidecar.close();
    throw error;
  }
  return sidecar;
}

class Sidecar implements RunningSidecar {
  readonly addresses: Addresses = {};
  private readonly options: SidecarOptions;
  private readonly log: Log;
  private readonly limits: Limits;
  private readonly parts: ClusterParts;
  private readonly wheel = new TimerWheel();
  private readonly connections = new Connections();
  /** Captured ones from outside the pod: apart, since they leave before the pod's own calls do. */
  private readonly inboundConnections = new Connections();
  private readonly overload: Overload;
  private readonly tunnels: RelayHost['tunnels'] = new Set();
  private readonly retryChain = new RetryChain();
  private readonly acceptors: Acceptor[] = [];
  private readonly closers: (() => void)[] = [];
  private readonly self: string;
  private readonly recorder: Recorder;
  private readonly mirroring: Mirroring;
  private identity: IdentitySource | undefined = undefined;
  /** TLS is loaded only where there is an identity: it weighs 6 MB. */
  private mtls: MtlsParts | undefined = undefined;
  private subscription: Subscription | undefined = undefined;
  /** Of the subscription, if it is to a control plane. */
  private sessions: SubscriptionSessions | undefined = undefined;
  private quotas = new Quotas();
  private services: RunningServices | undefined = undefined;
  private gateway: GatewayRouter | undefined = undefined;
  private gatewayPorts: GatewayPorts | undefined = undefined;
  private inbound: InboundRouter | undefined = undefined;
  private workload: RunningWorkload | undefined = undefined;
  private readonly startedMs = performance.now();
  private draining: Promise<void> | undefined = undefined;

  constructor(options: SidecarOptions, log: Log) {
    this.options = options;
    this.log = log;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.overload = new Overload(options.maxQueueMs ?? MAX_QUEUE_MS);
    this.self = selfOf(options);
    this.parts = {
      zone: () => options.zone ?? this.workload?.resource?.zone,
      proxy: proxyName(options, this.self),
      connectorFor: (endpoint, carries, call) => this.connectorFor(endpoint, carries, call),
      engineLimits: this.limits,
      wheel: this.wheel,
      connectMs: options.connectMs ?? CONNECT_MS,
      log,
    };
    this.recorder = new Recorder(this.self, options.accessLog ? log : undefined);
    this.mirroring = new Mirroring({ limits: this.limits, wheel: this.wheel, counts: this.recorder.mirrors });
  }

  /** Listens while the configuration is still on its way: what comes meanwhile waits for it. */
  async start(): Promise<void> {
    const { standalone } = this.options;
    const file = standalone === undefined ? undefined : this.closing(openStandalone(standalone, this.log));
    // A rejection is for the one who waits for it below.
    file?.ready?.catch(() => {});
    this.identity = await this.openIdentity();
    if (this.identity !== undefined) this.mtls = await import('./listeners/mtls-parts.ts');
    const whole = file ?? (await this.connectSubscription());
    const { worker, gatewayName } = this.options;
    const addresses = ownAddresses(this.options);
    this.quotas = await openQuotas(this.sessions, { worker, addresses, gatewayName }, this.log);
    // Before the session that they are drawn by: what is left over is given back.
    this.closers.unshift(() => this.quotas.close());
    const shared = worker === undefined ? whole : sharedOut(whole, worker.of);
    const { pod } = this.options;
    const subscription = pod === undefined ? shared : ownEndpointsPlain(shared, pod.ips);
    this.subscription = subscription;
    const services = new RunningServices(subscription, this.parts, this.self);
    this.services = services;
    this.identity?.onChange(() => services.renewConnectors());
    await Promise.all([
      this.openInbound(services),
      this.openOutbound(services),
      this.openOutboundServices(services),
      this.openCapture(services, subscription),
      this.openGateway(services, subscription),
      this.openGatewayPorts(services, subscription),
      this.openAdminPorts(),
      subscription.ready,
    ]);
    this.closing(returnMemory());
  }

  private async openIdentity(): Promise<IdentitySource | undefined> {
    const told = this.options.worker?.identity;
    const source = told ?? (await openIdentity(this.options, this.log));
    return source === undefined ? undefined : this.closing(source);
  }

  private async connectSubscription(): Promise<Subscription> {
    const { controlPlane } = this.options;
    if (controlPlane === undefined || this.identity === undefined)
      throw new Error('a data plane needs --standalone MESH.YAML or --control-plane HOST:PORT');
    const { connectSubscription } = await import('./config/control-plane.ts');
    const { identity, self: workload, log } = this;
    const connected = connectSubscription({ controlPlane, identity, workload, log });
    this.sessions = connected;
    return this.closing(connected);
  }

  private closing<T extends { close(): void }>(part: T): T {
    this.closers.push(() => part.close());
    return part;
  }

  /** Where the endpoint has an identity, mTLS or nothing: never plain text by mistake. */
  private connectorFor(endpoint: EndpointDescription, carries: Carried, call: BackendCall | undefined) {
    const { identity, mtls } = this;
    if (endpoint.identity === undefined)
      return call === undefined
        ? plainConnector(endpoint.address)
        : this.tlsConnector(endpoint, carries, call);
    if (mtls === undefined)
      return refusingConnector(
        'the endpoint takes mesh mTLS only, and this proxy has no identity (--identity or --control-plane)',
      );
    return mtls.mtlsConnector(endpoint.address, endpoint.identity, () => identity?.current(), carries);
  }

  private tlsConnector({ address }: EndpointDescription, carries: Carried, { tls, own }: BackendCall) {
    return (
      this.mtls?.backendTlsConnector(address, tls, own, carries) ??
      refusingConnector(
        `the endpoint takes TLS only (BackendTLSPolicy ${tls.policy}), and this proxy has no TLS`,
      )
    );
  }

  private host(
    kind: RelayHost['kind'],
    plan: RelayHost['plan'],
    addedFields: RelayHost['addedFields'] = () => '',
  ): RelayHost {
    const { recorder } = this;
    const edge = kind === 'gateway';
    return {
      kind,
      wheel: this.wheel,
      limits: this.limits,
      overload: this.overload,
      mirroring: this.mirroring,
      tunnels: this.tunnels,
      retryChain: this.retryChain,
      tellsAll: !edge,
      trustsRequestId: !edge,
      plan,
      addedFields,
      record: (exchange, _plan, nowMs) => recorder.record(exchange, nowMs),
      onProtected: (protection, peer) => this.onProtected(kind, protection, peer),
    };
  }

  private async openInbound(services: RunningServices): Promise<void> {
    const { inbound, workload } = this.options;
    if (inbound === undefined) return;
    if (workload === undefined)
      throw new Error('--inbound needs --workload NAMESPACE/NAME=HOST:PORT: where the application listens');
    const source = policyOfService(services.pin(workload.service));
    const router = new InboundRouter(source, workload.address, this.parts, this.quotas);
    this.inbound = router;
    const { connections, identity, log, mtls, wheel } = this;
    const listener = new InboundListener({
      connections,
      identity,
      mtls,
      log,
      wheel,
      limits: this.detectLimits,
    });
    const port = Object.assign(router, {
      http: this.httpParts(this.host('inbound', () => router.plan())),
      opaque: this.opaqueHost('inbound', (caller) => router.admit(caller)),
    });
    this.closers.push(
      () => listener.close(),
      () => router.close(),
    );
    this.addresses.inbound = await this.listen(inbound, (socket) => listener.onSocket(socket, port));
  }

  private async openOutbound(services: RunningServices): Promise<void> {
    const { outbound, workload, namespace } = this.options;
    if (outbound === undefined) return;
    const ownNamespace = namespace ?? workload?.service.split('/', 1)[0] ?? 'default';
    const router = new OutboundRouter(services, ownNamespace);
    this.addresses.outbound = await this.serve(
      outbound,
      this.host('outbound', (exchange) => router.plan(exchange)),
      sniOfServices(services, ownNamespace),
    );
  }

  private async openOutboundServices(services: RunningServices): Promise<void> {
    const { outboundServices } = this.options;
    if (outboundServices === undefined) return;
    const bound: Record<string, string> = {};
    this.addresses.outboundServices = bound;
    for (const { service: key, address } of outboundServices) {
      const service = services.pin(key);
      const http = this.httpParts(this.host('outbound', (exchange) => service.planFor(exchange)));
      const parts = { opaque: this.opaqueHost('outbound'), limits: this.detectLimits, httpFor: () => http };
      const listener = new OutboundServiceListener(parts, service);
      bound[key] = await this.listen(address, (socket) => listener.onSocket(socket));
    }
  }

  /** What only a pod needs is loaded only there. */
  private async openCapture(services: RunningServices, subscription: Subscription): Promise<void> {
    const { pod } = this.options;
    if (pod === undefined) return;
    const [{ openCapture }, { RunningWorkload }] = await Promise.all([
      import('./listeners/capture.ts'),
      import('./routing/workload.ts'),
    ]);
    const workload = new RunningWorkload(subscription, pod.key, pod.mtls, pod.opaquePorts);
    this.workload = workload;
    const { inboundConnections, identity, mtls, wheel, log } = this;
    let zone: string | undefined;
    workload.onChange((resource) => {
      if (resource.terminating) inboundConnections.leave();
      if (resource.zone === zone) return;
      zone = resource.zone;
      services.zoneChanged();
    });
    const of = (kind: 'inbound' | 'outbound') => (kind === 'inbound' ? inboundConnections : this.connections);
    const capture = await openCapture({
      pod,
      workload,
      services,
      subscription,
      clusters: this.parts,
      quotas: this.quotas,
      identity,
      mtls,
      inboundConnections,
      wheel,
      log,
      limits: this.detectLimits,
      httpParts: (kind, plan) => this.httpParts(this.host(kind, plan), of(kind)),
      opaqueHost: (kind, admit) => this.opaqueHost(kind, admit, of(kind)),
      listen: (address, onSocket) => this.listen(address, onSocket),
    });
    Object.assign(this.addresses, capture.addresses);
    this.closing(capture);
  }

  private async openGateway(services: RunningServices, subscription: Subscription): Promise<void> {
    const { gateway, gatewayName } = this.options;
    if (gateway === undefined) return;
    if (gatewayName === undefined) await subscription.ready;
    const name = gatewayName ?? onlyGateway(subscription);
    const router = new GatewayRouter(services, name, this.quotas);
    this.gateway = router;
    subscription.onResource((resource: Resource) => {
      if (resource.kind === 'gateway' && resource.key === name) router.update(resource);
    });
    subscription.onAbsent((kind, key) => {
      if (kind === 'gateway' && key === name) router.absent();
    });
    services.onService(() => router.refresh());
    subscription.want('gateway', name);
    this.addresses.gateway = await this.serve(
      gateway,
      this.host('gateway', (exchange) => router.plan(exchange), forwardedFor),
      (serverName) => router.tlsPlan(serverName),
    );
  }

  /** Ends TLS, which is loaded only here. */
  private async openGatewayPorts(services: RunningServices, subscription: Subscription): Promise<void> {
    const { gatewayListen, gatewayName, worker } = this.options;
    if (gatewayListen === undefined) return;
    if (gatewayName === undefined) await subscription.ready;
    const { GatewayPorts } = await import('./listeners/gateway-ports.ts');
    this.gatewayPorts = new GatewayPorts({
      gateway: gatewayName ?? onlyGateway(subscription),
      addressOf: (port) => `${gatewayListen}:${port}`,
      reusePort: worker !== undefined,
      services,
      quotas: this.quotas,
      subscription,
      limits: this.detectLimits,
      drainMs: this.drainMs,
      log: this.log,
      httpParts: (plan, connections, tunnels) =>
        this.httpParts({ ...this.host('gateway', plan, forwardedFor), tunnels }, connections),
      opaqueHost: (connections) => this.opaqueHost('gateway', undefined, connections),
    });
  }

  private httpParts(host: RelayHost, connections = this.connections): HttpParts {
    return { host, limits: this.limits, http2: DEFAULT_HTTP2_LIMITS, connections };
  }

  private onProtected(listener: RelayHost['kind'], protection: string, peer: string): void {
    const { protections } = this.recorder;
    protections.count(protection);
    if (!protections.mayTell(protection, performance.now())) return;
    this.log.warn(
      { listener, protection, peer, count: protections.all()[protection] },
      'a protection of HTTP/2 acted against a peer (docs/protocols.md); told every 10 s at most',
    );
  }

  private opaqueHost(
    kind: OpaqueHost['kind'],
    admit: OpaqueHost['admit'] = () => [],
    connections = this.connections,
  ): OpaqueHost & ArrivalHost {
    const { recorder, wheel, log, services } = this;
    return {
      kind,
      wheel,
      connections,
      recorder,
      detections: recorder.detections,
      log,
      idleMs: this.options.tcpIdleMs ?? TCP_IDLE_MS,
      admit,
      portOf: (key) => services?.use(key, performance.now()).resource?.service.port ?? 0,
    };
  }

  private get detectLimits() {
    return { ...this.limits, detectMs: this.options.detectMs ?? DETECT_MS };
  }

  private serve(address: string, host: RelayHost, sniPlan: SniPlan): Promise<string> {
    const listener = new HttpListener({
      http: this.httpParts(host),
      opaque: this.opaqueHost(host.kind),
      sniPlan,
    });
    return this.listen(address, (socket) => listener.onSocket(socket));
  }

  private async listen(address: string, onSocket: Parameters<typeof accept>[1]): Promise<string> {
    const acceptor = await accept(address, onSocket, this.options.worker !== undefined);
    this.acceptors.push(acceptor);
    return acceptor.address;
  }

  private async openAdminPorts(): Promise<void> {
    const { view } = this;
    const sources = {
      ...view,
      metrics: createMetrics(view.edges, view.gauges),
      drain: () => void this.drain(),
    };
    const opened = await openAdminPorts(this.options, sources, this.limits, this.wheel);
    Object.assign(this.addresses, this.closing(opened).addresses);
  }

  get view(): DataPlaneView {
    const { edges, explanations } = this.recorder;
    return {
      ready: () => this.readiness(),
      config: () =>
        configView(this.services?.all() ?? [], this.gateway?.resource ?? this.gatewayPorts?.resource),
      certs: () => certsView(this.identity),
      explain: (id) => explanations.find(id),
      recent: (limit) => explanations.recent(limit),
      gauges: () => this.gauges(),
      edges,
    };
  }

  private readiness(): Readiness {
    const { identity, subscription, options } = this;
    const reasons: string[] = [];
    const degraded: string[] = [];
    if (this.draining !== undefined) reasons.push('draining: no new connections are taken');
    this.podReadiness(reasons, degraded);
    if (identity !== undefined && identity.current() === undefined)
      (this.mayDoWithout ? degraded : reasons).push(
        `no certificate yet: ${identity.lastError() ?? 'the authority has not answered'}`,
      );
    if (this.inbound !== undefined && 'wait' in this.inbound.plan())
      reasons.push(`nothing is known of ${options.workload?.service} yet`);
    if (this.gateway !== undefined && !this.gateway.known)
      reasons.push('nothing is known of the Gateway yet');
    this.gatewayPorts?.tellReadiness(reasons, degraded);
    const state = subscription?.state();
    if (state !== undefined && !state.connected)
      degraded.push(
        `no control plane is connected (${state.lastError ?? 'connecting'}): running on the last known state`,
      );
    else if (state?.lastError !== undefined)
      degraded.push(`the last edit is not in force: ${state.lastError}`);
    const notAfter = identity?.current()?.notAfter;
    if (notAfter !== undefined && notAfter < Date.now())
      degraded.push(`its certificate ended at ${new Date(notAfter).toISOString()}: mesh calls fail`);
    if (identity?.lastError() !== undefined && identity.current() !== undefined)
      degraded.push(`certificate renewal: ${identity.lastError()}`);
    return { ready: reasons.length === 0, reasons, degraded };
  }

  /** A permissive pod must not be kept from starting by a control plane that is away: it goes on without the mesh. */
  private get mayDoWithout(): boolean {
    return this.options.pod?.mtls === 'permissive' && performance.now() - this.startedMs > WITHOUT_AFTER_MS;
  }

  private podReadiness(reasons: string[], degraded: string[]): void {
    const { workload } = this;
    if (workload === undefined || workload.resource !== undefined) return;
    const unknown = `no control plane has told what protects the pod ${workload.key}`;
    if (this.mayDoWithout) degraded.push(`${unknown}: calls pass through without the mesh`);
    else reasons.push(unknown);
  }

  private gauges() {
    const identity = this.identity?.current();
    const state = this.subscription?.state();
    return {
      connections: this.connections.count + this.inboundConnections.count + (this.gatewayPorts?.count ?? 0),
      protections: this.recorder.protections.all(),
      detections: this.recorder.detections.protocols(),
      detectTimeouts: this.recorder.detections.timeouts(),
      mirrors: this.recorder.mirrors.all(),
      quotas: [...this.quotas.figures()],
      ready: this.readiness().ready,
      controlPlaneConnected: state?.connected ?? false,
      certificateSecondsLeft: secondsLeft(identity?.notAfter),
      rootSecondsLeft: secondsLeft(identity?.rootNotAfter),
      checkedEndpoints: [...(this.services?.checkedEndpoints() ?? [])],
      circuits: [...(this.services?.circuits() ?? [])],
      ejections: this.services?.ejections() ?? {},
      panics: [...(this.services?.panics() ?? [])],
      version: VERSION,
      trustDomain: state?.trustDomain ?? 'unknown',
    };
  }

  private get drainMs(): number {
    return this.options.drainMs ?? DRAIN_MS;
  }

  drain(): Promise<void> {
    this.draining ??= this.drainOnce();
    return this.draining;
  }

  private async drainOnce(): Promise<void> {
    for (const acceptor of this.acceptors) acceptor.stop();
    for (const tunnel of this.tunnels) tunnel.drainTunnel();
    const { drainMs } = this;
    const until = performance.now() + drainMs;
    await Promise.all([
      this.connections.drain(drainMs),
      this.inboundConnections.drain(drainMs),
      this.gatewayPorts?.drain(drainMs),
    ]);
    await this.mirroring.drain(until - performance.now());
    this.quotas.close();
    // What is given back is written before its session ends.
    await new Promise((resolve) => setImmediate(resolve));
    await this.close();
  }

  async close(): Promise<void> {
    for (const acceptor of this.acceptors.splice(0)) acceptor.stop();
    this.connections.destroy();
    this.inboundConnections.destroy();
    this.gatewayPorts?.destroy();
    this.services?.close();
    for (const close of this.closers.splice(0)) close();
  }
}

/** `namespace/serviceaccount` of what this data plane stands beside. */
function selfOf({
  pod,
  workload,
  gateway,
  gatewayListen,
  gatewayName,
  namespace = 'default',
}: SidecarOptions): string {
  if (pod !== undefined) return `${pod.key.split('/', 1)[0]}/${pod.serviceAccount}`;
  if (gatewayListen !== undefined && gatewayName !== undefined) return gatewayName;
  if (workload === undefined) return `${namespace}/${gateway === undefined ? 'unknown' : 'gateway'}`;
  const [own = '', name = ''] = workload.service.split('/', 2);
  return `${own}/${workload.serviceAccount ?? name}`;
}

/** Where no other process can listen meanwhile. Workers listen together. */
function ownAddresses({ inbound, gateway, admin, health, pod, worker }: SidecarOptions): string[] {
  if (worker !== undefined) return [];
  const all = [inbound, gateway, admin, health, pod && `${pod.key}:${pod.inboundPort}`];
  return all.filter((address) => address !== undefined);
}

/** Tells this proxy from others of its kind; the workers of one share it, and its subset of endpoints. */
function proxyName({ pod, worker }: SidecarOptions, self: string): string {
  return pod?.key ?? `${self} ${hostname()} ${worker === undefined ? process.pid : process.ppid}`;
}

/** Without a name, the one Gateway there is. */
function onlyGateway(subscription: Subscription): string {
  const names = subscription.gateways?.() ?? [];
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  throw new Error(
    `--gateway-name NAMESPACE/NAME is needed: ${names.length === 0 ? 'no Gateway is known' : `there are ${names.join(', ')}`}`,
  );
}

function secondsLeft(notAfter: number | undefined): number | undefined {
  return notAfter === undefined ? undefined : (notAfter - Date.now()) / 1000;
}

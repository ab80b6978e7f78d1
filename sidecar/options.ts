import type { ServiceKey } from '../protocol/service.ts';
import type { Limits } from './http/limits.ts';
import type { IdentitySource } from './identity/identity.ts';
import type { ConfigView, Readiness } from './listeners/admin-views.ts';
import type { PodOptions } from './listeners/pod.ts';
import type { EdgeRegistry } from './telemetry/edge-registry.ts';
import type { Explanation } from './telemetry/explanation.ts';
import type { Gauges } from './telemetry/metrics.ts';

/** How one data plane is started. Addresses are HOST:PORT; port 0 lets the kernel choose. */
export interface SidecarOptions {
  /** A mesh.yaml to run on alone, without a control plane. */
  standalone?: string;
  controlPlane?: string[];
  /** Trust bundle (PEM) that the control plane is checked against. */
  bundleFile?: string;
  /** Join token for the first certificate. */
  tokenFile?: string;
  /** Certificate, key and bundle from files instead of from a control plane. */
  identity?: { cert: string; key: string; bundle: string };
  /** The workload this sidecar stands beside. */
  workload?: { service: ServiceKey; serviceAccount?: string; address: string };
  /** The pod whose connections are captured: then there is neither `workload` nor `inbound` nor `outbound`. */
  pod?: PodOptions;
  inbound?: string;
  outbound?: string;
  /** Listeners that take calls to one service each, whatever they speak. */
  outboundServices?: readonly { readonly service: ServiceKey; readonly address: string }[];
  gateway?: string;
  /** IP (IPv6 in brackets) at which the ports of a Gateway's listeners are opened: then without `gateway`. */
  gatewayListen?: string;
  /** `namespace/name` of the Gateway to serve; without it the only one. */
  gatewayName?: string;
  admin?: string;
  /** Readiness and metrics alone, which the whole cluster may see. */
  health?: string;
  /** Where short host names are looked up; without it the workload's namespace, or `default`. */
  namespace?: string;
  /** Where this proxy runs: endpoints of the same zone can be preferred. Of a pod the control plane tells it, too. */
  zone?: string;
  /** How long requests in flight may take after SIGTERM, in ms. */
  drainMs?: number;
  accessLog?: boolean;
  /** What the engine takes from clients, where it is not as by default. */
  limits?: Partial<Limits>;
  /** How long a request may wait for this process when it is overloaded, in ms; 0: for ever. */
  maxQueueMs?: number;
  /** How long to wait for first bytes that tell the protocol, in ms. */
  detectMs?: number;
  /** How long nothing may move on an opaque connection, in ms; 0: for ever. */
  tcpIdleMs?: number;
  /** How long a connect to an endpoint may take, in ms. */
  connectMs?: number;
  /** This process is one of several that listen on the same addresses. */
  worker?: OneOfSeveral;
}

/** In the environment of a worker process: `2/4` is the second of four. */
export const WORKER_VARIABLE = 'TULLE_WORKER';

interface OneOfSeveral {
  /** Which one it is, from 1. */
  readonly number: number;
  /** How many there are: each takes its share of limits that hold for all together. */
  readonly of: number;
  /** The one identity of all of them, where it comes from a control plane. */
  readonly identity?: IdentitySource;
}

/** What a data plane tells of itself. */
export interface DataPlaneView {
  ready(): Readiness;
  /** The running tables, without secrets. */
  config(): ConfigView;
  certs(): object;
  explain(id: string): Explanation | undefined;
  recent(limit: number): Explanation[];
  gauges(): Gauges;
  readonly edges: Pick<EdgeRegistry, 'all'>;
}

export interface Addresses {
  inbound?: string;
  outbound?: string;
  /** By service. */
  outboundServices?: Record<ServiceKey, string>;
  gateway?: string;
  admin?: string;
  health?: string;
}

/** Something that accepts until it is told to stop. */
export interface Running {
  readonly addresses: Addresses;
  /** Takes no new connections, lets what is in flight finish, then closes. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** A data plane that accepts. */
export interface RunningSidecar extends Running {
  readonly view: DataPlaneView;
}

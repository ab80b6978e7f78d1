import type { ServiceKey } from '../protocol/service.ts';
import type { Limits } from './http/limits.ts';

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
  inbound?: string;
  outbound?: string;
  /** Listeners that take calls to one service each, whatever they speak. */
  outboundServices?: readonly { readonly service: ServiceKey; readonly address: string }[];
  gateway?: string;
  /** `namespace/name` of the Gateway to serve; without it the only one. */
  gatewayName?: string;
  admin?: string;
  /** Where short host names are looked up; without it the workload's namespace, or `default`. */
  namespace?: string;
  /** How long requests in flight may take after SIGTERM, in ms. */
  drainMs?: number;
  accessLog?: boolean;
  /** What the engine takes from clients, where it is not as by default. */
  limits?: Partial<Limits>;
  /** How long to wait for first bytes that tell the protocol, in ms. */
  detectMs?: number;
  /** How long nothing may move on an opaque connection, in ms; 0: for ever. */
  tcpIdleMs?: number;
  /** How long a connect to an endpoint may take, in ms. */
  connectMs?: number;
}

/** Where a data plane listens. */
export interface SidecarAddresses {
  inbound?: string;
  outbound?: string;
  /** By service. */
  outboundServices?: Record<ServiceKey, string>;
  gateway?: string;
  admin?: string;
}

/** A data plane that accepts. */
export interface RunningSidecar {
  readonly addresses: SidecarAddresses;
  /** Takes no new connections, lets what is in flight finish, then closes. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

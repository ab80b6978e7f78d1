import type { Probe } from '../filters/probe.ts';
import type { OriginalDestination } from './original-destination.ts';

/** The pod beside whose application this data plane stands, as its template tells. */
export interface PodOptions {
  /** `namespace/name`. */
  readonly key: string;
  readonly serviceAccount: string;
  /** Its own addresses, IPv6 without brackets in the form of RFC 5952. */
  readonly ips: readonly string[];
  /** What holds until a control plane has told what protects the pod. */
  readonly mtls: 'strict' | 'permissive';
  /** What the kubelet asks of the application, by its port. */
  readonly probes: readonly PodProbe[];
  /** Ports whose connections are not read, besides those of which services say so. */
  readonly opaquePorts?: readonly number[];
  /** Where its rules redirect to; 0: the kernel chooses. */
  readonly inboundPort: number;
  readonly outboundPort: number;
  /** Where connections were going, where the kernel is not to be asked. */
  readonly originalDestination?: OriginalDestination;
}

/** `tcp`: whether the port can be connected to, which the health port finds out. */
export type PodProbe = { readonly port: number } & (Probe | { readonly kind: 'tcp' });

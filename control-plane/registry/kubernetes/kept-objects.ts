import type { ObjectReference } from './object-reference.ts';

/** What is kept of a Service. */
export interface KeptService {
  readonly reference: ObjectReference;
  readonly namespace: string;
  readonly name: string;
  /** RFC 3339; of equal claims the older wins. */
  readonly created: string;
  /** Those of the mesh alone. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly external: boolean;
  /** Without `None`: empty for a headless Service. */
  readonly clusterIps: readonly string[];
  readonly families: readonly string[];
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly publishNotReady: boolean;
  /** TCP only. */
  readonly ports: readonly KeptServicePort[];
}

export interface KeptServicePort {
  readonly name: string;
  readonly port: number;
  /** Of the pods: a number, or the name of a container's port. */
  readonly target: number | string;
  readonly appProtocol: string | undefined;
}

/** What is kept of an EndpointSlice. */
export interface KeptSlice {
  readonly namespace: string;
  readonly name: string;
  readonly service: string;
  readonly family: string;
  /** Made by Kubernetes from the Service's selector: each endpoint is a pod that exists. */
  readonly managed: boolean;
  /** TCP only. */
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly endpoints: readonly KeptEndpoint[];
}

export interface KeptEndpoint {
  readonly address: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly zone: string | undefined;
  /** Zones whose callers should use it (topology hints); empty: all. */
  readonly forZones: readonly string[];
  /** `namespace/name`. */
  readonly pod: string | undefined;
}

/** What is kept of a Pod: of ten thousand pods this is what counts in memory. */
export interface KeptPod {
  readonly namespace: string;
  readonly name: string;
  readonly ips: readonly string[];
  /** Its addresses are the node's. */
  readonly hostNetwork: boolean;
  readonly serviceAccount: string;
  readonly meshed: boolean;
  /** Its ports that the proxy does not stand before. */
  readonly plainPorts: readonly number[];
  /** What its annotation says in place of what its Services and its namespace say. */
  readonly opaquePorts: readonly number[] | undefined;
  readonly terminating: boolean;
  /** It has ended: its addresses may belong to another already. */
  readonly finished: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** TCP ports of its containers that have a name. */
  readonly namedPorts: Readonly<Record<string, number>>;
}

/** What is kept of a Namespace. */
export interface KeptNamespace {
  readonly reference: ObjectReference;
  readonly name: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** A document of the Gateway API or of Tulle, read by its own schema. */
export interface KeptDocument {
  readonly reference: ObjectReference;
  readonly namespace: string;
  readonly name: string;
  readonly created: string;
  readonly generation: number;
  /** It was deleted, and goes once what belongs to it has gone. */
  readonly deleting: boolean;
  /** Without status and without what others manage in its metadata. */
  readonly document: Readonly<Record<string, unknown>>;
}

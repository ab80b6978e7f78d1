import { createHash } from 'node:crypto';
import type { AccessPolicy } from './access-policy.ts';
import type { BackendTls } from './backend-tls.ts';
import type { GatewayListener, ListenerCertificate } from './gateway.ts';
import type { Mesh } from './mesh.ts';
import type { Route } from './route.ts';
import { atGateway } from './route-policy.ts';
import { type Service, type ServiceKey, serviceKey } from './service.ts';
import type { TrafficSettings } from './traffic-policy.ts';

/** All that a sidecar needs to know of one service. */
export interface ServiceResource {
  readonly kind: 'service';
  readonly key: ServiceKey;
  /** Hash of the content: equal versions are equal resources, whoever made them. */
  readonly version: string;
  readonly service: Service;
  readonly settings: TrafficSettings;
  readonly access: readonly AccessPolicy[];
  readonly routes: readonly Route[];
  /** Its endpoints that are no mesh peers speak TLS themselves. */
  readonly tls?: BackendTls;
}

/** All that a gateway needs to know of one Gateway. */
export interface GatewayResource {
  readonly kind: 'gateway';
  readonly key: string;
  readonly version: string;
  /** `namespace/serviceaccount` of its proxies: nobody else is told, since listeners may hold private keys. */
  readonly identity?: string;
  /** Presented to services that speak TLS themselves and ask for a certificate. */
  readonly clientCertificate?: ListenerCertificate;
  readonly listeners: readonly GatewayListener[];
  /** All that are attached to any listener, in order of precedence. */
  readonly routes: readonly Route[];
}

/** What stands at an address to which a workload's connection was captured. */
export interface AddressResource {
  readonly kind: 'address';
  /** `IP:PORT`, IPv6 in brackets. */
  readonly key: string;
  readonly version: string;
  /** The service that is meant by it: of a cluster IP its service, of a pod's address a service of that one endpoint. */
  readonly service: ServiceKey;
}

/** All that the sidecar of a pod needs to know of what it protects. */
export interface WorkloadResource {
  readonly kind: 'workload';
  /** `namespace/pod`. */
  readonly key: string;
  readonly version: string;
  /** `namespace/serviceaccount`: nobody else is told. */
  readonly identity: string;
  /** The pod is being deleted: kept-alive connections should go elsewhere. */
  readonly terminating: boolean;
  /** Where it runs (`topology.kubernetes.io/zone`), if that is known. */
  readonly zone?: string;
  /** Ports of the pod that services send to. */
  readonly ports: readonly WorkloadPort[];
  /** Of all other ports: what the namespace says. */
  readonly otherPorts: TrafficSettings;
}

export interface WorkloadPort {
  readonly port: number;
  readonly protocol: Service['protocol'];
  /** All of them protect the port: who calls must be let in by each. */
  readonly services: readonly {
    readonly key: ServiceKey;
    readonly settings: TrafficSettings;
    readonly access: readonly AccessPolicy[];
  }[];
}

export type Resource = ServiceResource | GatewayResource | AddressResource | WorkloadResource;
export type ResourceKind = Resource['kind'];

const KINDS: ReadonlySet<string> = new Set<ResourceKind>(['service', 'gateway', 'address', 'workload']);

/** Whether this version knows a kind. */
export function isResourceKind(kind: string): kind is ResourceKind {
  return KINDS.has(kind);
}

export interface Resources {
  readonly trustDomain: string;
  readonly services: ReadonlyMap<ServiceKey, ServiceResource>;
  readonly gateways: ReadonlyMap<string, GatewayResource>;
}

/** What sidecars are told, made of a mesh. */
export function resourcesOf(mesh: Mesh): Resources {
  const services = new Map<ServiceKey, ServiceResource>();
  for (const { service, settings } of mesh.services) {
    const key = serviceKey(service);
    const access = mesh.access.filter(({ metadata, spec }) => {
      const { targetRef } = spec;
      return (
        targetRef.kind === 'Service' &&
        `${targetRef.namespace ?? metadata.namespace}/${targetRef.name}` === key
      );
    });
    services.set(
      key,
      versioned({ kind: 'service', key, service, settings, access, routes: routesOf(mesh, 'Service', key) }),
    );
  }
  const gateways = new Map<string, GatewayResource>();
  for (const { metadata, spec } of mesh.gateways) {
    const key = `${metadata.namespace}/${metadata.name}`;
    const policy = mesh.gatewayPolicies.get(key);
    gateways.set(
      key,
      versioned({
        kind: 'gateway',
        key,
        listeners: spec.listeners,
        routes: routesOf(mesh, 'Gateway', key).map((route) => atGateway(route, policy)),
      }),
    );
  }
  return { trustDomain: mesh.trustDomain, services, gateways };
}

function routesOf(mesh: Mesh, kind: 'Service' | 'Gateway', key: string): Route[] {
  const attached = mesh.routes.filter((route) =>
    route.parents.some((parent) => parent.kind === kind && parent.key === key),
  );
  // Files have no age: of equal matches the first name wins.
  return attached.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Whether `peer` (`namespace/serviceaccount`) may be told of a resource: what concerns one workload alone is for it alone. */
export function mayBeTold(resource: Resource, peer: string): boolean {
  if (resource.kind !== 'workload' && resource.kind !== 'gateway') return true;
  return resource.identity === undefined ? resource.kind === 'gateway' : resource.identity === peer;
}

/** Gives a resource the hash of its content as version. */
export function versioned<T extends object>(content: T): T & { version: string } {
  const version = createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16);
  return { ...content, version };
}

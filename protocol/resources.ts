import { createHash } from 'node:crypto';
import type { AccessPolicy } from './access-policy.ts';
import type { Gateway } from './gateway.ts';
import type { Mesh } from './mesh.ts';
import type { Route } from './route.ts';
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
}

/** All that a gateway needs to know of one Gateway. */
export interface GatewayResource {
  readonly kind: 'gateway';
  readonly key: string;
  readonly version: string;
  readonly listeners: Gateway['spec']['listeners'];
  readonly routes: readonly Route[];
}

export type Resource = ServiceResource | GatewayResource;
export type ResourceKind = Resource['kind'];

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
    gateways.set(
      key,
      versioned({ kind: 'gateway', key, listeners: spec.listeners, routes: routesOf(mesh, 'Gateway', key) }),
    );
  }
  return { trustDomain: mesh.trustDomain, services, gateways };
}

function routesOf(mesh: Mesh, kind: 'Service' | 'Gateway', key: string): Route[] {
  return mesh.routes.filter((route) =>
    route.parents.some((parent) => parent.kind === kind && parent.key === key),
  );
}

function versioned<T extends object>(content: T): T & { version: string } {
  const version = createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16);
  return { ...content, version };
}

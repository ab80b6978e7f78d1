import type { Endpoint } from '../../protocol/endpoint.ts';
import type { Resource } from '../../protocol/resources.ts';
import { mapped } from './mapped.ts';
import type { Subscription } from './subscription.ts';

/**
 * A pod that calls itself through a Service is called in plain text: the sidecar stands on both sides of the call,
 * and the pod's rules redirect nothing that it sends.
 */
export function ownEndpointsPlain(subscription: Subscription, podIps: readonly string[]): Subscription {
  const own = podIps.map((ip) => (ip.includes(':') ? `[${ip}]:` : `${ip}:`));
  const isOwn = ({ address }: Endpoint): boolean => own.some((start) => address.startsWith(start));
  return mapped(subscription, (resource) => withPlain(resource, isOwn));
}

function withPlain(resource: Resource, isOwn: (endpoint: Endpoint) => boolean): Resource {
  if (resource.kind !== 'service' || !resource.service.endpoints.some(isOwn)) return resource;
  const endpoints = resource.service.endpoints.map((endpoint) =>
    isOwn(endpoint) ? plain(endpoint) : endpoint,
  );
  return { ...resource, service: { ...resource.service, endpoints } };
}

function plain({ identity: _, ...endpoint }: Endpoint): Endpoint {
  return endpoint;
}

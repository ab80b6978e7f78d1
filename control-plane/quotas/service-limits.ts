import { quotaIds } from '../../protocol/quotas/quota-id.ts';
import type { GatewayResource, ServiceResource } from '../../protocol/resources.ts';
import type { ServiceKey } from '../../protocol/service.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';

/** The quotas of a service by their names. */
export function limitsOf({ key, settings }: ServiceResource): ReadonlyMap<string, RateLimit> {
  const ids = quotaIds(key, settings.rateLimits);
  return new Map(settings.rateLimits.map((limit, at) => [ids[at] ?? '', limit]));
}

/** The service whose quota it is. */
export function serviceOf(quota: string): ServiceKey {
  const end = quota.indexOf('#');
  return end < 0 ? quota : quota.slice(0, end);
}

/**
 * Whether `peer` (`namespace/serviceaccount`) stands beside an endpoint of the service. An endpoint of a mesh file that
 * names no identity is taken to be of the service account that is named like the service.
 */
export function standsBeside({ service }: ServiceResource, peer: string): boolean {
  const account = service.serviceAccount ?? service.name;
  return (
    peer === `${service.namespace}/${account}` || service.endpoints.some(({ identity }) => identity === peer)
  );
}

/** Whether `peer` is a proxy of the Gateway, and the Gateway sends to the service. */
export function sendsTo(gateway: GatewayResource, service: ServiceKey, peer: string): boolean {
  const namespace = gateway.key.split('/', 1)[0] ?? '';
  // A mesh file does not say who its gateways are: they are of their namespace.
  const isProxy =
    gateway.identity === undefined ? peer.startsWith(`${namespace}/`) : gateway.identity === peer;
  return (
    isProxy &&
    gateway.routes.some(({ rules }) =>
      rules.some(({ backends }) => backends.some((backend) => backend.service === service)),
    )
  );
}

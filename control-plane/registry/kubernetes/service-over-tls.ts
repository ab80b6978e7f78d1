import type { Service } from '../../../protocol/service.ts';
import type { TrafficSettings } from '../../../protocol/traffic-policy.ts';
import type { KeptServicePort } from './kept-objects.ts';
import { isOverTls } from './port-protocol.ts';

/**
 * A service whose application speaks TLS itself, as callers see it: they speak what is inside. Its sidecars would speak
 * plain text to it, so they are passed by where nothing that they protect needs to know who calls: the TLS goes through
 * them from end to end.
 */
export function overTls(
  service: Service,
  { appProtocol, name }: KeptServicePort,
  settings: Pick<TrafficSettings, 'mtls' | 'allow'>,
  isProtected: boolean,
): Service {
  const protocol =
    service.protocol === 'tcp' && isOverTls(appProtocol, name) ? ('detect' as const) : service.protocol;
  if (isProtected || settings.mtls === 'strict' || settings.allow !== undefined)
    return { ...service, protocol };
  return {
    ...service,
    protocol,
    endpoints: service.endpoints.map(({ identity: _, ...endpoint }) => endpoint),
  };
}

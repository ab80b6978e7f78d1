import type { Service } from './service.ts';
import type { TrafficSettings } from './traffic-policy.ts';

/** How a service's connections are read: not at all, as HTTP, or as what their first bytes say. */
export type SpokenProtocol = 'opaque' | 'http' | 'detect';

/** What the service declares goes before its list of opaque ports. */
export function spokenProtocol(
  service: Pick<Service, 'protocol' | 'port'>,
  settings: Pick<TrafficSettings, 'opaquePorts'>,
): SpokenProtocol {
  if (service.protocol === 'tcp') return 'opaque';
  if (service.protocol !== 'detect') return 'http';
  return settings.opaquePorts.includes(service.port) ? 'opaque' : 'detect';
}

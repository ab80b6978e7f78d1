import { type Resource, type ServiceResource, versioned } from '../../../protocol/resources.ts';
import type { Service } from '../../../protocol/service.ts';
import type { TrafficSettings } from '../../../protocol/traffic-policy.ts';
import type { KeptService, KeptServicePort } from './kept-objects.ts';
import type { Known } from './known-objects.ts';
import { portProtocol } from './port-protocol.ts';
import { type ResourceView, sameForAll, viewOf } from './resource-view.ts';
import { serviceEndpoints } from './service-endpoints.ts';
import { overTls } from './service-over-tls.ts';
import { serviceRoutes } from './service-routes.ts';

/**
 * A port of a Service; without a port its first. `key` is what was asked for. An ExternalName has none: its
 * traffic passes through.
 */
export function serviceView(key: string, name: string, port: number | undefined, known: Known): ResourceView {
  const kept = known.workloads.service(name);
  if (kept === undefined || kept.external) return sameForAll(undefined);
  const servicePort = kept.ports.find((one) => port === undefined || one.port === port);
  if (servicePort === undefined) return sameForAll(undefined);
  const settings = known.policies.serviceSettings(kept.namespace, kept.name);
  const tls = known.backendTls.tlsOf(name, servicePort);
  const access = known.policies.accessTo(name);
  const service = serviceOf(kept, servicePort, settings, known);
  const content = {
    kind: 'service' as const,
    key,
    service: tls === undefined ? service : overTls(service, servicePort, settings, access.length > 0),
    settings,
    access,
    ...(tls !== undefined && { tls }),
  };
  const portKey = `${name}:${servicePort.port}`;
  const { producer, consumers } = serviceRoutes(
    portKey,
    kept.namespace,
    known.routes.attachedTo(`service ${name}`),
  );
  const resource: ServiceResource = versioned({ ...content, routes: producer });
  const theirs = [...consumers].map(([namespace, routes]): [string, Resource] => [
    namespace,
    versioned({ ...content, routes }),
  ]);
  return viewOf(resource, new Map(theirs));
}

function serviceOf(
  kept: KeptService,
  servicePort: KeptServicePort,
  settings: TrafficSettings,
  known: Known,
): Service {
  const { namespace, name } = kept;
  return {
    name,
    namespace,
    port: servicePort.port,
    protocol: servicePortProtocol(servicePort, settings),
    endpoints: serviceEndpoints(
      kept,
      servicePort,
      known.workloads.slicesOf(`${namespace}/${name}`),
      known.workloads,
    ),
    annotations: {}, // they are in the settings
  };
}

/** `opaque-ports` may name the Service's port or the pod's; what the port declares goes before it. */
export function servicePortProtocol(
  { appProtocol, name, port, target }: KeptServicePort,
  { opaquePorts }: Pick<TrafficSettings, 'opaquePorts'>,
): Service['protocol'] {
  const declared = portProtocol(appProtocol, name);
  if (declared !== 'detect') return declared;
  return opaquePorts.includes(port) || opaquePorts.includes(Number(target)) ? 'tcp' : 'detect';
}

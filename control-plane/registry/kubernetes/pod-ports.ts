import type { KeptPod, KeptService, KeptServicePort, KeptSlice } from './kept-objects.ts';
import { selects } from './known-workloads.ts';

/** A port of a Service that sends to a port of a pod. */
export interface PodPort {
  /** The pod's. */
  readonly port: number;
  readonly service: KeptService;
  readonly servicePort: KeptServicePort;
}

export interface ServicesOfPod {
  service(key: string): KeptService | undefined;
  servicesIn(namespace: string): Iterable<string>;
  slicesWith(pod: KeptPod): Iterable<KeptSlice>;
}

/**
 * All ports of a pod to which Services send: by their selectors, so that a pod is protected before it is in any
 * EndpointSlice and as long as it runs, and by slices that someone of its namespace wrote: who may write in another one
 * has no say in who is let in here. Ordered by port, then the older Service.
 */
export function podPorts(pod: KeptPod, known: ServicesOfPod): PodPort[] {
  const found: PodPort[] = [];
  for (const key of known.servicesIn(pod.namespace)) {
    const service = known.service(key);
    if (service !== undefined && !service.external && selects(service, pod))
      found.push(...targets(service, pod));
  }
  for (const slice of known.slicesWith(pod)) {
    if (slice.namespace !== pod.namespace) continue;
    const service = known.service(`${slice.namespace}/${slice.service}`);
    if (service === undefined || service.external || selects(service, pod)) continue;
    found.push(...writtenTargets(service, slice));
  }
  return unique(found.sort(byPortAndAge));
}

function targets(service: KeptService, pod: KeptPod): PodPort[] {
  return service.ports.flatMap((servicePort) => {
    const { target } = servicePort;
    const port = typeof target === 'number' ? target : namedPort(pod, target);
    return port === undefined ? [] : [{ port, service, servicePort }];
  });
}

function namedPort({ namedPorts }: KeptPod, name: string): number | undefined {
  return Object.hasOwn(namedPorts, name) ? namedPorts[name] : undefined;
}

function writtenTargets(service: KeptService, slice: KeptSlice): PodPort[] {
  return slice.ports.flatMap(({ name, port }) => {
    const servicePort = service.ports.find((one) => one.name === name);
    return servicePort === undefined ? [] : [{ port, service, servicePort }];
  });
}

function byPortAndAge(a: PodPort, b: PodPort): number {
  return a.port - b.port || (orderOf(a) < orderOf(b) ? -1 : 1);
}

function orderOf({ service, servicePort }: PodPort): string {
  return `${service.created} ${service.namespace}/${service.name}:${String(servicePort.port).padStart(5, '0')}`;
}

/** A dual-stack Service has a slice of each family. */
function unique(ports: readonly PodPort[]): PodPort[] {
  return ports.filter(
    (one, index) =>
      index === 0 || one.port !== ports[index - 1]?.port || orderOf(one) !== orderOf(ports[index - 1] ?? one),
  );
}

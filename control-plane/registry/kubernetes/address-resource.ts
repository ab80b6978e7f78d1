import { type AddressResource, type ServiceResource, versioned } from '../../../protocol/resources.ts';
import type { KeptPod } from './kept-objects.ts';
import type { Known } from './known-objects.ts';
import { podPorts } from './pod-ports.ts';
import { addressOf, identityAt } from './service-endpoints.ts';
import { servicePortProtocol } from './service-resource.ts';

/** What stands at an address: of a cluster IP its Service, of a pod's the pod itself where the mesh has to do with it. */
export function addressResource(
  key: string,
  ip: string,
  port: number,
  { workloads }: Known,
): AddressResource | undefined {
  const service = workloads.serviceAt(ip);
  if (service !== undefined) {
    if (!service.ports.some((one) => one.port === port)) return undefined;
    return versioned<Omit<AddressResource, 'version'>>({
      kind: 'address',
      key,
      service: `${service.namespace}/${service.name}:${port}`,
    });
  }
  const pod = workloads.podAt(ip);
  if (pod === undefined) return undefined;
  const concerned =
    identityAt(pod, port).identity !== undefined || podPorts(pod, workloads).some((one) => one.port === port);
  if (!concerned) return undefined;
  return versioned<Omit<AddressResource, 'version'>>({
    kind: 'address',
    key,
    service: `${pod.namespace}/${pod.name}.pod:${port}`,
  });
}

/** A pod called by its own address: a service of one endpoint, treated as the first Service that sends there. */
export function podServiceResource(
  key: string,
  podKey: string,
  port: number,
  known: Known,
): ServiceResource | undefined {
  const pod = known.workloads.pod(podKey);
  const ip = pod === undefined ? undefined : calledAddress(pod);
  if (pod === undefined || ip === undefined) return undefined;
  const { identity } = identityAt(pod, port);
  const there = podPorts(pod, known.workloads).find((one) => one.port === port);
  if (identity === undefined && there === undefined) return undefined;
  const { namespace, name } = there?.service ?? { namespace: pod.namespace, name: '' };
  const settings = known.policies.serviceSettings(namespace, name);
  const opaquePorts = pod.opaquePorts ?? settings.opaquePorts;
  const undeclared = opaquePorts.includes(port) ? 'tcp' : 'detect';
  return versioned<Omit<ServiceResource, 'version'>>({
    kind: 'service',
    key,
    service: {
      name: `${pod.name}.pod`,
      namespace: pod.namespace,
      port,
      protocol: there === undefined ? undeclared : servicePortProtocol(there.servicePort, { opaquePorts }),
      endpoints: [
        { address: addressOf(ip, port), weight: 1, ready: true, ...(identity !== undefined && { identity }) },
      ],
      annotations: {},
    },
    settings,
    access: name === '' ? [] : known.policies.accessTo(`${namespace}/${name}`),
    routes: [],
  });
}

function calledAddress({ ips, hostNetwork, finished }: KeptPod): string | undefined {
  return hostNetwork || finished ? undefined : ips[0];
}

import { versioned, type WorkloadPort, type WorkloadResource } from '../../../protocol/resources.ts';
import type { KeptPod, KeptServicePort } from './kept-objects.ts';
import type { Known } from './known-objects.ts';
import { type PodPort, podPorts } from './pod-ports.ts';
import { servicePortProtocol } from './service-resource.ts';

/** What the sidecar of a pod protects; none for a pod without a sidecar. */
export function workloadResource(key: string, known: Known): WorkloadResource | undefined {
  const pod = known.workloads.pod(key);
  if (pod === undefined || !pod.meshed) return undefined;
  const zone = zoneOf(pod, known);
  const byPort = Map.groupBy(podPorts(pod, known.workloads), ({ port }) => port);
  return versioned<Omit<WorkloadResource, 'version'>>({
    kind: 'workload',
    key,
    identity: `${pod.namespace}/${pod.serviceAccount}`,
    terminating: pod.terminating,
    ...(zone !== undefined && { zone }),
    ports: [...byPort].map(([port, services]) => workloadPort(port, services, pod, known)),
    otherPorts: {
      ...known.policies.namespaceSettings(pod.namespace),
      ...(pod.opaquePorts !== undefined && { opaquePorts: pod.opaquePorts }),
    },
  });
}

/** By its own label, which Kubernetes 1.35 copies from its node, or by the slices of its Services. */
function zoneOf(pod: KeptPod, known: Known): string | undefined {
  const label = pod.labels['topology.kubernetes.io/zone'];
  if (label !== undefined && label !== '') return label;
  for (const { namespace, endpoints } of known.workloads.slicesWith(pod)) {
    // Who writes slices in another namespace has no say in this pod.
    if (namespace !== pod.namespace) continue;
    const zone = endpoints.find(({ address }) => pod.ips.includes(address))?.zone;
    if (zone !== undefined) return zone;
  }
  return undefined;
}

function workloadPort(
  port: number,
  podPortsThere: readonly PodPort[],
  { opaquePorts }: KeptPod,
  known: Known,
): WorkloadPort {
  const there = podPortsThere.map(({ service: { namespace, name }, servicePort }) => ({
    servicePort,
    service: {
      key: `${namespace}/${name}:${servicePort.port}`,
      settings: known.policies.serviceSettings(namespace, name),
      access: known.policies.accessTo(`${namespace}/${name}`),
    },
  }));
  const protocols = there.map(({ servicePort, service }) =>
    opaquePorts === undefined
      ? servicePortProtocol(servicePort, service.settings)
      : podPortProtocol(port, servicePort, opaquePorts),
  );
  return {
    port,
    protocol: protocols.find((protocol) => protocol !== 'detect') ?? 'detect',
    services: there.map(({ service }) => service),
  };
}

/** A pod's own annotation names its ports, and goes before those of its Services; what a port declares goes before both. */
function podPortProtocol(
  port: number,
  servicePort: KeptServicePort,
  opaquePorts: readonly number[],
): WorkloadPort['protocol'] {
  const declared = servicePortProtocol(servicePort, { opaquePorts: [] });
  return declared === 'detect' && opaquePorts.includes(port) ? 'tcp' : declared;
}

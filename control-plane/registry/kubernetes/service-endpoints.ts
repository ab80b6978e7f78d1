import type { Endpoint } from '../../../protocol/endpoint.ts';
import type { KeptEndpoint, KeptPod, KeptService, KeptServicePort, KeptSlice } from './kept-objects.ts';

/** How endpoints learn of their pods. */
export interface PodLookup {
  pod(key: string): KeptPod | undefined;
  podAt(ip: string): KeptPod | undefined;
}

interface Candidate extends KeptEndpoint {
  readonly port: number;
  readonly family: string;
  readonly managed: boolean;
}

/**
 * The endpoints of one port of a Service. Of a pod with addresses of both families, the one of the Service's
 * first family is used.
 */
export function serviceEndpoints(
  service: KeptService,
  port: KeptServicePort,
  slices: Iterable<KeptSlice>,
  pods: PodLookup,
): Endpoint[] {
  const candidates = oneForEachPod(candidatesOf(port, slices), service.families[0] ?? 'IPv4');
  const usable = whatKubeProxyUses(candidates, service.publishNotReady);
  return candidates
    .map((candidate) => endpointOf(candidate, usable.has(candidate), pods))
    .sort((a, b) => (a.address < b.address ? -1 : 1));
}

function candidatesOf(port: KeptServicePort, slices: Iterable<KeptSlice>): Candidate[] {
  const candidates: Candidate[] = [];
  for (const { ports, family, managed, endpoints } of slices) {
    const target = ports.find(({ name }) => name === port.name);
    if (target === undefined) continue;
    for (const endpoint of endpoints) candidates.push({ ...endpoint, port: target.port, family, managed });
  }
  return candidates;
}

/** While an endpoint moves from one slice to another it is in both: it is told once. */
function oneForEachPod(candidates: readonly Candidate[], family: string): Candidate[] {
  const chosen = new Map<string, Candidate>();
  const first = candidates.filter((candidate) => candidate.family === family);
  const second = candidates.filter((candidate) => candidate.family !== family);
  for (const candidate of first) chosen.set(candidate.pod ?? candidate.address, candidate);
  for (const candidate of second) {
    // Which of them are one place cannot be known of endpoints without a pod.
    if (candidate.pod === undefined && first.length > 0) continue;
    const key = candidate.pod ?? candidate.address;
    if (!chosen.has(key)) chosen.set(key, candidate);
  }
  return [...chosen.values()];
}

/** Those that are ready; if there are none, those that end but still serve. */
function whatKubeProxyUses(candidates: readonly Candidate[], publishNotReady: boolean): Set<Candidate> {
  const ready = candidates.filter((one) => one.ready && (!one.terminating || publishNotReady));
  if (ready.length > 0) return new Set(ready);
  return new Set(candidates.filter(({ serving, terminating }) => serving && terminating));
}

function endpointOf(candidate: Candidate, usable: boolean, pods: PodLookup): Endpoint {
  const { address, port, zone, forZones } = candidate;
  const pod = podOf(candidate, pods);
  return {
    address: addressOf(address, port),
    weight: 1,
    // Whether it is meshed is known with its pod only; plain text would be refused by strict mTLS.
    ready: usable && (pod !== undefined || !candidate.managed || candidate.pod === undefined),
    ...(zone !== undefined && { zone }),
    ...(forZones.length > 0 && { forZones: [...forZones] }),
    ...identityAt(pod, port),
  };
}

/** The identity that a port of a pod proves; none where no proxy stands before it. */
export function identityAt(pod: KeptPod | undefined, port: number): { identity?: string } {
  if (pod === undefined || !pod.meshed || pod.plainPorts.includes(port)) return {};
  return { identity: `${pod.namespace}/${pod.serviceAccount}` };
}

/** Who has the address counts, not the name: a pod of a StatefulSet comes back under its name elsewhere. */
function podOf({ address, pod: key }: KeptEndpoint, pods: PodLookup): KeptPod | undefined {
  const at = pods.podAt(address);
  if (at !== undefined || key === undefined) return at;
  const named = pods.pod(key);
  return named?.hostNetwork === true ? named : undefined;
}

/** `IP:PORT`, IPv6 in brackets. */
export function addressOf(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

import { isDeepStrictEqual } from 'node:util';
import { IndexOf } from './index-of.ts';
import type { KeptPod, KeptService, KeptSlice } from './kept-objects.ts';
import type { PodLookup } from './service-endpoints.ts';

/** What something else depends on: a Service, a Pod or an address. */
export type Subject = `service ${string}` | `pod ${string}` | `ip ${string}` | `gateway ${string}`;

/**
 * Services, EndpointSlices and Pods, and how one is found from the other. A change tells the subjects that may
 * look different now, and nothing when what is kept is as before.
 */
export class KnownWorkloads implements PodLookup {
  private readonly services = new Map<string, KeptService>();
  private readonly slices = new Map<string, KeptSlice>();
  private readonly pods = new Map<string, KeptPod>();
  private readonly servicesByNamespace = new IndexOf();
  private readonly servicesByIp = new Map<string, string>();
  private readonly podsByNamespace = new IndexOf();
  /** By `namespace/serviceaccount`. */
  private readonly podsByIdentity = new IndexOf();
  private readonly podsByIp = new Map<string, string>();
  private readonly slicesByService = new IndexOf();
  private readonly slicesByIp = new IndexOf();
  private readonly slicesByPod = new IndexOf();
  private readonly touch: (subject: Subject) => void;

  constructor(touch: (subject: Subject) => void) {
    this.touch = touch;
  }

  service(key: string): KeptService | undefined {
    return this.services.get(key);
  }

  /** Keys of all Services. */
  serviceKeys(): Iterable<string> {
    return this.services.keys();
  }

  servicesIn(namespace: string): ReadonlySet<string> {
    return this.servicesByNamespace.get(namespace);
  }

  /** The Service that has a cluster IP. */
  serviceAt(ip: string): KeptService | undefined {
    return this.services.get(this.servicesByIp.get(ip) ?? '');
  }

  pod(key: string): KeptPod | undefined {
    return this.pods.get(key);
  }

  podsIn(namespace: string): ReadonlySet<string> {
    return this.podsByNamespace.get(namespace);
  }

  podAt(ip: string): KeptPod | undefined {
    return this.pods.get(this.podsByIp.get(ip) ?? '');
  }

  /** Whether a pod of a workload (`namespace/serviceaccount`) has not ended. */
  runs(workload: string): boolean {
    return this.podsByIdentity.get(workload).size > 0;
  }

  slicesOf(service: string): KeptSlice[] {
    return this.slicesAt(this.slicesByService.get(service));
  }

  /** Slices that have one of a pod's addresses, whoever made them. */
  slicesWith(pod: KeptPod): Set<KeptSlice> {
    if (pod.hostNetwork) return new Set();
    return new Set(pod.ips.flatMap((ip) => this.slicesAt(this.slicesByIp.get(ip))));
  }

  putService(key: string, service: KeptService): void {
    const before = this.services.get(key);
    if (isDeepStrictEqual(before, service)) return;
    this.removeService(key);
    this.services.set(key, service);
    this.servicesByNamespace.add(service.namespace, key);
    for (const ip of service.clusterIps) this.servicesByIp.set(ip, key);
    this.touchService(key, service);
  }

  removeService(key: string): void {
    const service = this.services.get(key);
    if (service === undefined) return;
    this.services.delete(key);
    this.servicesByNamespace.delete(service.namespace, key);
    for (const ip of service.clusterIps) if (this.servicesByIp.get(ip) === key) this.servicesByIp.delete(ip);
    this.touchService(key, service);
  }

  putSlice(key: string, slice: KeptSlice | undefined): void {
    const before = this.slices.get(key);
    if (isDeepStrictEqual(before, slice)) return;
    this.unindexSlice(key, before);
    if (slice === undefined) this.slices.delete(key);
    else this.indexSlice(key, slice);
    this.touchSlice(before, slice);
  }

  removeSlice(key: string): void {
    this.putSlice(key, undefined);
  }

  putPod(key: string, pod: KeptPod): void {
    const before = this.pods.get(key);
    if (isDeepStrictEqual(before, pod)) return;
    this.removePod(key);
    this.pods.set(key, pod);
    this.podsByNamespace.add(pod.namespace, key);
    if (!pod.finished) this.podsByIdentity.add(`${pod.namespace}/${pod.serviceAccount}`, key);
    for (const ip of ownAddresses(pod)) this.podsByIp.set(ip, key);
    this.touchPod(key, pod);
  }

  removePod(key: string): void {
    const pod = this.pods.get(key);
    if (pod === undefined) return;
    this.pods.delete(key);
    this.podsByNamespace.delete(pod.namespace, key);
    this.podsByIdentity.delete(`${pod.namespace}/${pod.serviceAccount}`, key);
    for (const ip of ownAddresses(pod)) if (this.podsByIp.get(ip) === key) this.podsByIp.delete(ip);
    this.touchPod(key, pod);
  }

  /** A Service changes what its pods' sidecars protect, and what stands at their addresses. */
  touchService(key: string, service: KeptService): void {
    this.touch(`service ${key}`);
    for (const ip of service.clusterIps) this.touch(`ip ${ip}`);
    for (const podKey of this.podsByNamespace.get(service.namespace)) {
      const pod = this.pods.get(podKey);
      if (pod !== undefined && selects(service, pod)) this.touchPodItself(podKey, pod);
    }
    // Those that it does not select but whose addresses someone wrote into its slices.
    if (service.selector === undefined)
      for (const slice of this.slicesOf(key))
        for (const { address } of slice.endpoints) this.touchAddress(address);
  }

  private slicesAt(keys: Iterable<string>): KeptSlice[] {
    return [...keys].flatMap((key) => this.slices.get(key) ?? []);
  }

  private indexSlice(key: string, slice: KeptSlice): void {
    this.slices.set(key, slice);
    this.slicesByService.add(`${slice.namespace}/${slice.service}`, key);
    for (const { address, pod } of slice.endpoints) {
      this.slicesByIp.add(address, key);
      if (pod !== undefined) this.slicesByPod.add(pod, key);
    }
  }

  private unindexSlice(key: string, slice: KeptSlice | undefined): void {
    if (slice === undefined) return;
    this.slicesByService.delete(`${slice.namespace}/${slice.service}`, key);
    for (const { address, pod } of slice.endpoints) {
      this.slicesByIp.delete(address, key);
      if (pod !== undefined) this.slicesByPod.delete(pod, key);
    }
  }

  /** Pods look different only where they came or went: readiness concerns the Service alone. */
  private touchSlice(before: KeptSlice | undefined, after: KeptSlice | undefined): void {
    for (const slice of [before, after])
      if (slice !== undefined) this.touch(`service ${slice.namespace}/${slice.service}`);
    const old = new Set(before?.endpoints.map(({ address }) => address));
    const now = new Set(after?.endpoints.map(({ address }) => address));
    const same = before?.service === after?.service && isDeepStrictEqual(before?.ports, after?.ports);
    for (const address of old.symmetricDifference(now)) this.touchAddress(address);
    if (!same) for (const address of old.intersection(now)) this.touchAddress(address);
  }

  private touchPod(key: string, pod: KeptPod): void {
    this.touchPodItself(key, pod);
    const slices = [...this.slicesByPod.get(key)];
    for (const ip of pod.ips) slices.push(...this.slicesByIp.get(ip));
    for (const { namespace, service } of this.slicesAt(slices)) this.touch(`service ${namespace}/${service}`);
  }

  private touchPodItself(key: string, pod: KeptPod): void {
    this.touch(`pod ${key}`);
    for (const ip of ownAddresses(pod)) this.touch(`ip ${ip}`);
  }

  private touchAddress(ip: string): void {
    this.touch(`ip ${ip}`);
    const pod = this.podsByIp.get(ip);
    if (pod !== undefined) this.touch(`pod ${pod}`);
  }
}

/** Addresses that are a pod's alone. */
function ownAddresses(pod: KeptPod): readonly string[] {
  return pod.hostNetwork || pod.finished ? [] : pod.ips;
}

/** Whether a Service's selector chooses a pod of its namespace. */
export function selects({ selector, namespace }: KeptService, pod: KeptPod): boolean {
  if (selector === undefined || namespace !== pod.namespace) return false;
  return Object.entries(selector).every(([name, value]) => pod.labels[name] === value);
}

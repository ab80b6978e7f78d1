import type { ResourceKind } from '../../../protocol/resources.ts';
import { addressResource, podServiceResource } from './address-resource.ts';
import { gatewayResource } from './gateway-resource.ts';
import type { Known } from './known-objects.ts';
import type { Subject } from './known-workloads.ts';
import { type ResourceView, sameForAll } from './resource-view.ts';
import { serviceView } from './service-resource.ts';
import { workloadResource } from './workload-resource.ts';

/** What a key means, and what changes when that changes. */
export interface ResourceName {
  /** The subject whose changes concern it. */
  readonly subject: Subject;
  read(known: Known): ResourceView;
}

/** Takes a key apart; undefined: no object can have it. */
export function resourceName(kind: ResourceKind, key: string): ResourceName | undefined {
  if (kind === 'gateway')
    return { subject: `gateway ${key}`, read: (known) => sameForAll(gatewayResource(key, known)) };
  if (kind === 'workload')
    return { subject: `pod ${key}`, read: (known) => sameForAll(workloadResource(key, known)) };
  const [, name = '', port] = /^(.+?)(?::(\d{1,5}))?$/.exec(key) ?? [];
  if (kind === 'address') {
    if (port === undefined) return undefined;
    const [, written = name, number = port] = /^\[(.+)\]:(\d+)$/.exec(key) ?? [];
    return {
      subject: `ip ${written}`,
      read: (known) => sameForAll(addressResource(key, written, Number(number), known)),
    };
  }
  if (!name.endsWith('.pod'))
    return {
      subject: `service ${name}`,
      read: (known) => serviceView(key, name, port === undefined ? undefined : Number(port), known),
    };
  const pod = name.slice(0, -'.pod'.length);
  if (port === undefined) return undefined;
  return {
    subject: `pod ${pod}`,
    read: (known) => sameForAll(podServiceResource(key, pod, Number(port), known)),
  };
}

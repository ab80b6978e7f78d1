import type { ServiceResource } from '../../protocol/resources.ts';
import type { Service, ServiceKey } from '../../protocol/service.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import type { LocalAnswer } from '../exchange.ts';
import type { Protector } from '../filters/protector.ts';
import type { Pending } from './plan.ts';
import type { RunningService } from './services.ts';

/** What protects one port of a workload, and how its connections are read. */
export interface InboundPolicy {
  /** What calls to it are counted under. */
  readonly key: ServiceKey;
  /** A caller must be let in by each. */
  readonly protectors: readonly Protector[];
  /** Of the connections to the application. */
  readonly settings: TrafficSettings;
  readonly service: Pick<Service, 'protocol' | 'port'>;
}

/** Where the policy of a port comes from. */
export interface PolicySource {
  /** What it is about, in words of the registry. */
  readonly key: string;
  /** What callers call it that mean the pod itself, by its address. */
  readonly ownName?: string;
  /** The same object as long as nothing changed. */
  policy(): InboundPolicy | undefined;
  /** What becomes of a call while there is no policy. */
  without(): Pending | LocalAnswer;
}

/** The policy of the one service that a sidecar was told to stand beside. */
export function policyOfService(service: RunningService): PolicySource {
  let made: InboundPolicy | undefined;
  let madeOf: ServiceResource | undefined;
  return {
    key: service.key,
    policy() {
      const { resource } = service;
      if (resource !== madeOf) made = resource && servicePolicy(resource);
      madeOf = resource;
      return made;
    },
    without: () =>
      service.waitOr({
        status: 503,
        code: 'no-service',
        detail: `this sidecar stands beside ${service.key}, and no such service is in the registry`,
      }),
  };
}

function servicePolicy({ key, service, settings, access }: ServiceResource): InboundPolicy {
  return { key, protectors: [{ key, namespace: service.namespace, settings, access }], settings, service };
}

/** Whether one of them lets in mesh mTLS only. */
export function isStrict({ protectors }: InboundPolicy): boolean {
  return protectors.some(({ settings }) => settings.mtls === 'strict');
}

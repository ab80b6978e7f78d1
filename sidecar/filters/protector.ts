import type { AccessPolicy } from '../../protocol/access-policy.ts';
import type { ServiceKey } from '../../protocol/service.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';

/** One of those that protect a port: a service that sends to it, or the namespace where none does. */
export interface Protector {
  readonly key: ServiceKey;
  /** Where bare names of its `allow` are looked up. */
  readonly namespace: string;
  readonly settings: TrafficSettings;
  readonly access: readonly AccessPolicy[];
  /** It is of this data plane alone: no other sidecar shares its quotas. */
  readonly alone?: true;
}

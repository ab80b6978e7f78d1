import type { Resource } from '../../protocol/resources.ts';
import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import { mapped } from './mapped.ts';
import type { Subscription } from './subscription.ts';

/**
 * The share of one of `workers` processes in what holds for all together. A limit of none would let nothing
 * through: each has 1 at least, and so up to `workers` together.
 */
export function shareOf(settings: TrafficSettings, workers: number): TrafficSettings {
  const { limits, retryBudget } = settings;
  const share = (limit: number): number => Math.max(1, Math.ceil(limit / workers));
  return {
    ...settings,
    limits: {
      connections: share(limits.connections),
      pending: share(limits.pending),
      requests: share(limits.requests),
    },
    // Counted over ten seconds, so that a part of one a second is a retry now and then.
    retryBudget: { ratio: retryBudget.ratio, perSecond: retryBudget.perSecond / workers },
  };
}

/** Tells one of `workers` processes its share of each service's limits, so that nobody behind it needs to know. */
export function sharedOut(subscription: Subscription, workers: number): Subscription {
  return mapped(subscription, (resource) => withShare(resource, workers));
}

function withShare(resource: Resource, workers: number): Resource {
  return resource.kind === 'service'
    ? { ...resource, settings: shareOf(resource.settings, workers) }
    : resource;
}

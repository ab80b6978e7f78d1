import type { Resource } from '../../protocol/resources.ts';
import type { Subscription } from './subscription.ts';

/** The same subscription, whose listeners are told each resource as `map` makes it. */
export function mapped(subscription: Subscription, map: (resource: Resource) => Resource): Subscription {
  return {
    ...(subscription.ready !== undefined && { ready: subscription.ready }),
    want: (kind, key) => subscription.want(kind, key),
    drop: (kind, key) => subscription.drop(kind, key),
    onResource: (listener) => subscription.onResource((resource) => listener(map(resource))),
    onAbsent: (listener) => subscription.onAbsent(listener),
    state: () => subscription.state(),
    gateways: () => subscription.gateways?.() ?? [],
    close: () => subscription.close(),
  };
}

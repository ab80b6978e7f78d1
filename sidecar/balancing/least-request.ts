import type { Balancer } from './balancer.ts';
import { cheaperOfTwo, countInFlight } from './two-choices.ts';

/** The one of two random endpoints with fewer requests in flight for its weight. */
export function leastRequest(random: () => number): Balancer {
  return {
    pick: (endpoints, avoid) => cheaperOfTwo(endpoints, avoid, random, (endpoint) => (endpoint.inFlight + 1) / endpoint.weight),
    ...countInFlight,
  };
}

import type { Balancer } from './balancer.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import { countInFlight } from './two-choices.ts';

/** Smooth weighted round robin (nginx): each turn all gain their weight and the richest pays the total. */
export function roundRobin(): Balancer {
  const credit = new WeakMap<EndpointLoad, number>();
  return {
    pick(endpoints, avoid) {
      let best = endpoints[0];
      let bestCredit = Number.NEGATIVE_INFINITY;
      let total = 0;
      for (const endpoint of endpoints) {
        if (endpoint === avoid && endpoints.length > 1) continue;
        const gained = (credit.get(endpoint) ?? 0) + endpoint.weight;
        credit.set(endpoint, gained);
        total += endpoint.weight;
        if (gained > bestCredit) [best, bestCredit] = [endpoint, gained];
      }
      if (best !== undefined) credit.set(best, bestCredit - total);
      return best;
    },
    ...countInFlight,
  };
}

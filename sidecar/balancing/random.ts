import type { Balancer } from './balancer.ts';
import { countInFlight } from './two-choices.ts';

/** By chance alone, in proportion to weight. */
export function uniform(random: () => number): Balancer {
  return {
    pick(endpoints, avoid) {
      let total = 0;
      for (const endpoint of endpoints) if (endpoint !== avoid) total += endpoint.weight;
      if (total === 0) return endpoints[0];
      let left = random() * total;
      for (const endpoint of endpoints) {
        if (endpoint === avoid) continue;
        left -= endpoint.weight;
        if (left < 0) return endpoint;
      }
      return endpoints.findLast((endpoint) => endpoint !== avoid);
    },
    ...countInFlight,
  };
}

import type { Balancer } from './balancer.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import { countInFlight } from './in-flight.ts';
import { WeightedDraw } from './weighted-draw.ts';

/** By chance alone, in proportion to weight. */
export function uniform(random: () => number): Balancer {
  const weighted = new WeightedDraw(random);
  return {
    pick<E extends EndpointLoad>(endpoints: readonly E[], avoid?: E): E | undefined {
      if (endpoints.length < 2) return endpoints[0];
      weighted.prepare(endpoints);
      return endpoints[weighted.drawOther(endpoints, avoid)];
    },
    ...countInFlight,
  };
}

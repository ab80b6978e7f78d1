import type { Balancer } from './balancer.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import { countInFlight } from './in-flight.ts';
import { TwoChoices } from './two-choices.ts';

/** The one of two random endpoints with fewer requests in flight for its weight. */
export function leastRequest(random: () => number): Balancer {
  const choices = new TwoChoices(random);
  return {
    pick<E extends EndpointLoad>(endpoints: readonly E[], avoid?: E): E | undefined {
      if (endpoints.length < 2) return endpoints[0];
      choices.draw(endpoints, avoid);
      const one = endpoints[choices.first] as E; // both are below the length
      const two = endpoints[choices.second] as E;
      return two.inFlight * one.weight < one.inFlight * two.weight ? two : one;
    },
    ...countInFlight,
  };
}

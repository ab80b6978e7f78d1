import type { EndpointLoad } from './endpoint-load.ts';
import { leastRequest } from './least-request.ts';
import { p2cEwma } from './p2c-ewma.ts';
import { uniform } from './random.ts';
import { roundRobin } from './round-robin.ts';

/** Chooses among a service's endpoints, told of what becomes of each choice. */
export interface Balancer {
  /** One of `endpoints`; not `avoid` where there is another. Undefined when there are none. */
  pick<E extends EndpointLoad>(endpoints: readonly E[], avoid?: E): E | undefined;
  started(endpoint: EndpointLoad, nowMs: number): void;
  finished(endpoint: EndpointLoad, nowMs: number, latencyMs: number, failed: boolean): void;
}

/** The balancer of a strategy; those that hash are not built yet and fall back to the default, as `tulle check` says. */
export function createBalancer(strategy: string, random: () => number = Math.random): Balancer {
  switch (strategy) {
    case 'round-robin':
      return roundRobin();
    case 'least-request':
      return leastRequest(random);
    case 'random':
      return uniform(random);
    default:
      return p2cEwma(random);
  }
}

import type { EndpointLoad } from './endpoint-load.ts';
import { leastRequest } from './least-request.ts';
import { p2cEwma } from './p2c-ewma.ts';
import { uniform } from './random.ts';
import { roundRobin } from './round-robin.ts';

/** Chooses among a service's endpoints, told of what becomes of each choice. */
export interface Balancer {
  /**
   * One of `endpoints`; not `avoid` (the one that just failed) where there is another. Undefined when there
   * are none. Tables are kept for an array: other endpoints or weights must come as a new array.
   */
  pick<E extends EndpointLoad>(endpoints: readonly E[], avoid?: E): E | undefined;
  /** Times in ms of the clock of `EndpointLoad`. */
  started(endpoint: EndpointLoad, nowMs: number): void;
  /** `latencyMs`: to the response's head; `failed`: by what the caller counts as the endpoint's failure. */
  finished(endpoint: EndpointLoad, nowMs: number, latencyMs: number, failed: boolean): void;
}

/** The balancer of a strategy; those that hash are not built yet and fall back to the default, as `tulle check` says. */
export function createBalancer(strategy: string, random: () => number = Math.random): Balancer {
  switch (strategy) {
    case 'round-robin':
      return roundRobin(random);
    case 'least-request':
      return leastRequest(random);
    case 'random':
      return uniform(random);
    default:
      return p2cEwma(random);
  }
}

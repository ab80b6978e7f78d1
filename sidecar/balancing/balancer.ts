import type { BalancePolicy } from '../../protocol/traffic-policy.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import { ringPreference } from './hash-ring.ts';
import { hashed } from './hashed.ts';
import { leastRequest } from './least-request.ts';
import { maglevPreference } from './maglev-table.ts';
import { p2cEwma } from './p2c-ewma.ts';
import { uniform } from './random.ts';
import { roundRobin } from './round-robin.ts';

/** In flight at one endpoint, in percent of its share of all: Google's and HAProxy's default is the same. */
const BOUNDED_PERCENT = 125;

/** Chooses among a service's endpoints, told of what becomes of each choice. */
export interface Balancer {
  /**
   * One of `endpoints`; not `avoid` (the one that just failed) where there is another. Undefined when there
   * are none. Tables are kept for an array: other endpoints or weights must come as a new array.
   * `hash`: of the request's key, for those that hash; NO_HASH: it has none.
   */
  pick<E extends EndpointLoad>(endpoints: readonly E[], avoid?: E, hash?: number): E | undefined;
  /** Times in ms of the clock of `EndpointLoad`. */
  started(endpoint: EndpointLoad, nowMs: number): void;
  /** `latencyMs`: to the response's head; `failed`: by what the caller counts as the endpoint's failure. */
  finished(endpoint: EndpointLoad, nowMs: number, latencyMs: number, failed: boolean): void;
}

/** The balancer of a policy's strategy. */
export function createBalancer(
  { strategy, boundedPercent = BOUNDED_PERCENT }: BalancePolicy,
  random: () => number = Math.random,
): Balancer {
  switch (strategy) {
    case 'round-robin':
      return roundRobin(random);
    case 'least-request':
      return leastRequest(random);
    case 'random':
      return uniform(random);
    case 'ring-hash':
      return hashed(ringPreference, boundedPercent / 100, random);
    case 'maglev':
      return hashed(maglevPreference, boundedPercent / 100, random);
    default:
      return p2cEwma(random);
  }
}

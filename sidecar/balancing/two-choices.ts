import type { EndpointLoad } from './endpoint-load.ts';

/** Draws two different endpoints at random, `avoid` left out where others exist, and takes the cheaper. */
export function cheaperOfTwo<E extends EndpointLoad>(
  endpoints: readonly E[],
  avoid: E | undefined,
  random: () => number,
  cost: (endpoint: E) => number,
): E | undefined {
  const count = endpoints.length;
  if (count <= 1) return endpoints[0];
  let first = Math.floor(random() * count);
  if (endpoints[first] === avoid) first = (first + 1) % count;
  if (count === 2 && avoid !== undefined && endpoints.includes(avoid)) return endpoints[first];
  let second = Math.floor(random() * (count - 1));
  if (second >= first) second++;
  if (endpoints[second] === avoid) {
    second = (second + 1) % count;
    if (second === first) second = (second + 1) % count;
  }
  const one = endpoints[first] as E; // both are below count
  const two = endpoints[second] as E;
  return cost(two) < cost(one) ? two : one;
}

/** Counts what is in flight: all that a balancer without memory needs to be told. */
export const countInFlight = {
  started(endpoint: EndpointLoad): void {
    endpoint.inFlight++;
  },
  finished(endpoint: EndpointLoad): void {
    endpoint.inFlight--;
  },
};

import { mixed, textHash } from '../http/text-hash.ts';

/** What stands in for members that cannot be used: no more than as many as the subset has. */
const SPARE = 2;

/**
 * The endpoints that one proxy uses, by rendezvous hashing (Thaler and Ravishankar, 1998): each proxy ranks them in
 * an order of its own and takes the first `size`, so that a service of thousands is spread over its proxies by chance,
 * and an endpoint that comes or goes changes one place of few subsets. Those that cannot be used are kept, and the
 * next in rank stand in for them. `proxy`: tells this one from the others.
 */
export function subset<E extends { readonly address: string; readonly available: boolean }>(
  endpoints: readonly E[],
  size: number,
  proxy: string,
): readonly E[] {
  if (endpoints.length <= size) return endpoints;
  const seed = textHash(proxy);
  const ranked = endpoints
    .map((endpoint) => ({ endpoint, rank: mixed(textHash(endpoint.address) ^ seed) }))
    .sort((a, b) => a.rank - b.rank || (a.endpoint.address < b.endpoint.address ? -1 : 1));
  const members: E[] = [];
  for (let at = 0, usable = 0; usable < size && at < Math.min(size * SPARE, ranked.length); at++) {
    const { endpoint } = ranked[at] as (typeof ranked)[number]; // below the length
    members.push(endpoint);
    if (endpoint.available) usable++;
  }
  return members;
}

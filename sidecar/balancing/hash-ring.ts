import { mixed, textHash } from '../http/text-hash.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import type { Preference } from './hashed.ts';

/** Points of an endpoint of mean weight: shares differ by some 8 % then (Karger and others, 1997; ketama). */
const POINTS = 160;
/** Of all endpoints together: a service of thousands has fewer each. */
const MOST_POINTS = 100_000;

/** Points of endpoints on a circle of 32 bits: a key belongs to the next point. Weights are shares of points. */
class HashRing {
  private readonly at: Uint32Array;
  private readonly owner: Int32Array;

  constructor(endpoints: readonly EndpointLoad[]) {
    const total = endpoints.reduce((sum, { weight }) => sum + weight, 0);
    const each = Math.min(POINTS, Math.max(1, MOST_POINTS / endpoints.length));
    const points: [at: number, owner: number][] = [];
    for (const [index, { address, weight }] of endpoints.entries()) {
      const count = Math.max(1, Math.round((each * endpoints.length * weight) / total));
      const seed = textHash(address);
      for (let n = 0; n < count; n++) points.push([mixed(seed + Math.imul(n, 0x9e3779b9)), index]);
    }
    // Of two at one place the same is first in every proxy.
    points.sort(
      ([a, one], [b, two]) => a - b || (address(endpoints, one) < address(endpoints, two) ? -1 : 1),
    );
    this.at = Uint32Array.from(points, ([at]) => at);
    this.owner = Int32Array.from(points, ([, owner]) => owner);
  }

  /** The place of a key's point. */
  placeOf(hash: number): number {
    const { at } = this;
    let [low, high] = [0, at.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((at[middle] as number) < hash)
        low = middle + 1; // below the length
      else high = middle;
    }
    return low;
  }

  /** The endpoint that owns a place, whose index may be beyond the last point. */
  ownerAt(place: number): number {
    return this.owner[place % this.owner.length] as number; // below the length
  }

  get size(): number {
    return this.at.length;
  }
}

/** A key's next endpoint is that of the next point of the ring. */
export function ringPreference(endpoints: readonly EndpointLoad[]): Preference {
  const ring = new HashRing(endpoints);
  let place = 0;
  return {
    begin(hash) {
      place = ring.placeOf(hash);
    },
    next: () => ring.ownerAt(place++),
  };
}

function address(endpoints: readonly EndpointLoad[], index: number): string {
  return endpoints[index]?.address ?? '';
}

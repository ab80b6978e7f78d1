import { NO_HASH } from '../http/text-hash.ts';
import type { Balancer } from './balancer.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import { WeightedDraw } from './weighted-draw.ts';

/** So few in flight at one endpoint are no hot spot: what a page asks for at once stays together. */
const FEW = 4;
/** Places that are looked at for an endpoint that may take the request, before any is taken. */
const LOOK = 64;

/** The endpoints that a key would go to, in the order of its preference. */
export interface Preference {
  /** Begins with a key. */
  begin(hash: number): void;
  /** Index of the next endpoint; the same may come again. */
  next(): number;
}

/**
 * One endpoint for each key, as long as it is there and has not much more than its share: requests beyond `bound`
 * times its share of all in flight go on to the key's next (Mirrokni and others, "Consistent hashing with bounded
 * loads", 2018). Without a key: by chance.
 */
export function hashed(
  prefer: (endpoints: readonly EndpointLoad[]) => Preference,
  bound: number,
  random: () => number,
): Balancer {
  return new Hashed(prefer, bound, random);
}

class Hashed implements Balancer {
  private readonly prefer: (endpoints: readonly EndpointLoad[]) => Preference;
  private readonly bound: number;
  private readonly byChance: WeightedDraw;
  private of: readonly EndpointLoad[] | undefined = undefined;
  private preference: Preference | undefined = undefined;
  private totalWeight = 1;
  private members: ReadonlySet<EndpointLoad> = new Set();
  /** Of all endpoints of the array. */
  private inFlight = 0;

  constructor(
    prefer: (endpoints: readonly EndpointLoad[]) => Preference,
    bound: number,
    random: () => number,
  ) {
    this.prefer = prefer;
    this.bound = bound;
    this.byChance = new WeightedDraw(random);
  }

  pick<E extends EndpointLoad>(endpoints: readonly E[], avoid?: E, hash = NO_HASH): E | undefined {
    if (endpoints.length < 2) return endpoints[0];
    if (hash === NO_HASH) {
      this.byChance.prepare(endpoints);
      return endpoints[this.byChance.drawOther(endpoints, avoid)];
    }
    const preference = this.preferenceOf(endpoints);
    preference.begin(hash);
    let second: E | undefined;
    for (let looked = 0; looked < LOOK; looked++) {
      const endpoint = endpoints[preference.next()] as E; // the preference was made of them
      if (endpoint === avoid) continue;
      second ??= endpoint;
      if (this.mayTake(endpoint)) return endpoint;
    }
    return second ?? endpoints.find((endpoint) => endpoint !== avoid);
  }

  private preferenceOf(endpoints: readonly EndpointLoad[]): Preference {
    if (endpoints !== this.of || this.preference === undefined) {
      this.of = endpoints;
      this.members = new Set(endpoints);
      this.inFlight = endpoints.reduce((sum, { inFlight }) => sum + inFlight, 0);
      this.totalWeight = endpoints.reduce((sum, { weight }) => sum + weight, 0);
      this.preference = this.prefer(endpoints);
    }
    return this.preference;
  }

  private mayTake({ inFlight, weight }: EndpointLoad): boolean {
    const share = ((this.inFlight + 1) * weight) / this.totalWeight;
    return inFlight < FEW || inFlight + 1 <= Math.ceil(share * this.bound);
  }

  started(endpoint: EndpointLoad): void {
    endpoint.inFlight++;
    if (this.members.has(endpoint)) this.inFlight++;
  }

  finished(endpoint: EndpointLoad): void {
    endpoint.inFlight--;
    if (this.members.has(endpoint)) this.inFlight--;
  }
}

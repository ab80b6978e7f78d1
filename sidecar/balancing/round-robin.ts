import type { Balancer } from './balancer.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import { countInFlight } from './in-flight.ts';

/**
 * Weighted round robin, smooth: each endpoint is due again 1 / weight after its last turn, and the
 * earliest is next (earliest deadline first, as in Envoy). Turns start at random, so that the sidecars of
 * a fleet do not all begin with the same endpoint. A pick is O(log n).
 */
export function roundRobin(random: () => number): Balancer {
  const turns = new Turns(random);
  return {
    pick<E extends EndpointLoad>(endpoints: readonly E[], avoid?: E): E | undefined {
      return endpoints.length < 2 ? endpoints[0] : endpoints[turns.next(endpoints, avoid)];
    },
    ...countInFlight,
  };
}

/** A binary heap of endpoints by when they are due, kept while the array is the same one. */
class Turns {
  private of: readonly EndpointLoad[] | undefined = undefined;
  private due = new Float64Array(0);
  /** Index of the endpoint at each place of the heap. */
  private who = new Int32Array(0);
  private readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  next(endpoints: readonly EndpointLoad[], avoid: EndpointLoad | undefined): number {
    if (endpoints !== this.of) this.build(endpoints);
    const place = this.endpointAt(0) === avoid ? this.earlierChild(0) : 0;
    const index = this.who[place] as number; // places are below the length
    this.due[place] = (this.due[place] as number) + interval(endpoints[index]);
    this.sink(place);
    return index;
  }

  private endpointAt(place: number): EndpointLoad | undefined {
    return this.of?.[this.who[place] as number];
  }

  private build(endpoints: readonly EndpointLoad[]): void {
    this.of = endpoints;
    this.due = Float64Array.from(endpoints, (endpoint) => this.random() * interval(endpoint));
    this.who = Int32Array.from(endpoints, (_, index) => index);
    for (let place = (endpoints.length >> 1) - 1; place >= 0; place--) this.sink(place);
  }

  /** The earlier of two places below `place`; a place past the end when there is none. */
  private earlierChild(place: number): number {
    const left = 2 * place + 1;
    const right = left + 1;
    return right < this.due.length && (this.due[right] as number) < (this.due[left] as number) ? right : left;
  }

  private sink(from: number): void {
    const { due, who } = this;
    const dueAt = due[from] as number;
    const index = who[from] as number;
    let place = from;
    for (let child = this.earlierChild(place); child < due.length; child = this.earlierChild(place)) {
      if ((due[child] as number) >= dueAt) break;
      due[place] = due[child] as number;
      who[place] = who[child] as number;
      place = child;
    }
    due[place] = dueAt;
    who[place] = index;
  }
}

/** One of weight 0 takes no part where others have weight. */
function interval(endpoint: EndpointLoad | undefined): number {
  const weight = endpoint?.weight ?? 0;
  return weight > 0 ? 1 / weight : Number.MAX_SAFE_INTEGER;
}

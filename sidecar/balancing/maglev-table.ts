import { mixed, textHash } from '../http/text-hash.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import type { Preference } from './hashed.ts';

/** Primes; the large one as in the paper. A table of a hundred places an endpoint is even to a percent. */
const SMALL = 4_099;
const LARGE = 65_537;
const SMALL_UP_TO = 40;

/**
 * A table in which each endpoint has places by its weight, chosen in turn from its own permutation (Eisenbud and
 * others, "Maglev", NSDI 2016, section 3.4): looked up in one step, more even than a ring.
 */
class MaglevTable {
  readonly size: number;
  private readonly owner: Int32Array;

  constructor(endpoints: readonly EndpointLoad[]) {
    this.size = endpoints.length <= SMALL_UP_TO ? SMALL : LARGE;
    this.owner = new Int32Array(this.size).fill(-1);
    this.fill(endpoints);
  }

  private fill(endpoints: readonly EndpointLoad[]): void {
    const { size, owner } = this;
    const heaviest = Math.max(...endpoints.map(({ weight }) => weight));
    const lines = endpoints
      .map(({ address, weight }, index) => ({
        index,
        address,
        turn: weight / heaviest,
        due: 0,
        ...permutation(address, size),
      }))
      // The same in every proxy, in whatever order it heard of them.
      .sort((a, b) => (a.address < b.address ? -1 : 1));
    for (let filled = 0; filled < size; ) {
      for (const line of lines) {
        line.due += line.turn;
        if (line.due < 1) continue;
        line.due -= 1;
        while (owner[line.next] !== -1) line.next = (line.next + line.skip) % size;
        owner[line.next] = line.index;
        if (++filled === size) return;
      }
    }
  }

  ownerOf(hash: number): number {
    return this.owner[hash % this.size] as number; // below the size
  }
}

/** A key's next endpoint is that of the key hashed once more. */
export function maglevPreference(endpoints: readonly EndpointLoad[]): Preference {
  const table = new MaglevTable(endpoints);
  let key = 0;
  return {
    begin(hash) {
      key = hash;
    },
    next() {
      const owner = table.ownerOf(key);
      key = mixed(key + 1);
      return owner;
    },
  };
}

function permutation(address: string, size: number): { next: number; skip: number } {
  const hash = textHash(address);
  return { next: hash % size, skip: (mixed(hash ^ 0x9e3779b9) % (size - 1)) + 1 };
}

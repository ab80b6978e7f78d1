/** One family's ranges of a cluster, and the two ends of the link from this machine to its node. */
export interface Ranges {
  /** What this machine routes to the node. */
  readonly all: string;
  readonly pods: string;
  readonly services: string;
  /** This machine's end of the link, seen by pods as the outside world. */
  readonly outside: string;
  /** The node's own address. */
  readonly node: string;
  /** Bits of the link's prefix. */
  readonly linkBits: number;
}

/** The addresses of the cluster in a slot: disjoint from every other slot's. */
export interface Addresses {
  readonly slot: number;
  /** This machine's end of the link. */
  readonly link: string;
  readonly v4: Ranges;
  readonly v6: Ranges;
  /** First address of the services' range: the API server's Service. */
  readonly apiService: string;
  readonly dnsService: string;
}

/** So many clusters fit on one machine. */
export const SLOTS = 60;

/** Slot N has 10.(180 + N).0.0/16 and fd74:756c:6c65:(N + 1)00::/56: private, and rarely used by others (RFC 1918, RFC 4193). */
export function addressesOf(slot: number): Addresses {
  const v4 = `10.${180 + slot}`;
  const v6 = `fd74:756c:6c65:${(slot + 1).toString(16)}`;
  return {
    slot,
    link: `tulle-k8s-${slot}`,
    v4: {
      all: `${v4}.0.0/16`,
      pods: `${v4}.0.0/20`,
      services: `${v4}.16.0/20`,
      outside: `${v4}.255.1`,
      node: `${v4}.255.2`,
      linkBits: 30,
    },
    v6: {
      all: `${v6}00::/56`,
      pods: `${v6}00::/64`,
      services: `${v6}01::/112`,
      outside: `${v6}02::1`,
      node: `${v6}02::2`,
      linkBits: 64,
    },
    apiService: `${v4}.16.1`,
    dnsService: `${v4}.16.10`,
  };
}

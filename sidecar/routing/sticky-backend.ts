import type { RouteBackend } from '../../protocol/route.ts';
import { mixed, textHash } from '../http/text-hash.ts';

interface Candidate {
  readonly backend: RouteBackend;
  readonly salt: number;
}

/**
 * The backend of a caller that is known by a number of 32 bits. By weighted rendezvous: each backend draws a time from the
 * caller's number and its own name, at a rate of its weight, and the first one gets the caller. So shares of callers are those of
 * the weights, and where weights change, only as many callers move as must, all of them to what has more weight now.
 */
export function stickyBackend(
  backends: readonly RouteBackend[],
): (caller: number) => RouteBackend | undefined {
  const seen = new Map<string, number>();
  const candidates = backends.map((backend): Candidate => {
    const before = seen.get(backend.service) ?? 0;
    seen.set(backend.service, before + 1);
    return { backend, salt: textHash(`${before} ${backend.service}`) };
  });
  const usable = candidates.filter(({ backend }) => backend.weight > 0);
  return (caller) => {
    let first: RouteBackend | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const { backend, salt } of usable) {
      const drawn = (mixed(caller ^ salt) + 0.5) / 2 ** 32;
      const time = -Math.log(drawn) / backend.weight;
      if (time >= least) continue;
      least = time;
      first = backend;
    }
    return first;
  };
}

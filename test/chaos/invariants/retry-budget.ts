import type { Arrival, Evidence, Invariant, Violation } from '../evidence.ts';

const RATIO = 0.2;
const PER_SECOND = 10;
const WINDOW_MS = 10_000;
/** Retries of a request come at most so long after it. */
const LONGEST_MS = 40_000;

interface First {
  readonly id: string;
  readonly atMs: number;
}

/**
 * Retries never add more than 20 % and 10 a second to what callers send: of each caller at each service, in every
 * window. What arrives more often than it was sent first counts, at the time at which it was sent first.
 */
export const retryBudget: Invariant = {
  name: 'retry-budget',
  check(evidence) {
    const callers = [...new Set(evidence.arrivals.map(({ client }) => client))].filter(
      (client) => client !== '',
    );
    return callers.flatMap((client) => {
      const arrivals = evidence.arrivals.filter((arrival) => arrival.client === client);
      return [...Map.groupBy(arrivals, ({ service }) => service)].flatMap(([service, all]) =>
        check(client, service, all, firstsOf(evidence, client, service)),
      );
    });
  },
};

/** What a caller sent first: its own requests, or one for each that came to it. */
function firstsOf({ requests, arrivals }: Evidence, client: string, service: string): First[] {
  const called = arrivals.filter((arrival) => arrival.service === client);
  if (called.length > 0) return called;
  return requests
    .filter(({ entry, services }) => entry === client && services[0] === service)
    .map(({ id, startMs }) => ({ id, atMs: startMs }));
}

function check(
  client: string,
  service: string,
  arrivals: readonly Arrival[],
  firsts: readonly First[],
): Violation[] {
  const sent = Map.groupBy(firsts, ({ id }) => id);
  const more: First[] = [];
  for (const [id, all] of Map.groupBy(arrivals, (arrival) => arrival.id)) {
    const first = sent.get(id);
    if (first === undefined) continue;
    for (let extra = all.length - first.length; extra > 0; extra--)
      more.push({ id, atMs: first[0]?.atMs ?? 0 });
  }
  for (const { atMs } of more) {
    const inWindow = more.filter((one) => one.atMs >= atMs && one.atMs < atMs + WINDOW_MS);
    // The budget looks back as well, and the last retry of the window may be that much later.
    const counted = firsts.filter(
      (one) => one.atMs >= atMs - WINDOW_MS && one.atMs < atMs + WINDOW_MS + LONGEST_MS,
    );
    const allowed = counted.length * RATIO + (PER_SECOND * (WINDOW_MS + LONGEST_MS)) / 1000;
    if (inWindow.length <= allowed) continue;
    return [
      {
        invariant: 'retry-budget',
        detail: `${inWindow.length} retries of ${client} at ${service} within ${WINDOW_MS / 1000} s, of ${counted.length} requests: more than ${allowed.toFixed(0)}`,
        requests: inWindow.slice(0, 20).map(({ id }) => id),
      },
    ];
  }
  return [];
}

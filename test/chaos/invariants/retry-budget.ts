import type { Arrival, Evidence, Interval, Invariant, Violation } from '../evidence.ts';

const RATIO = 0.2;
/** In the ten seconds that a budget looks back. */
const AT_LEAST = 100;
const LOOKS_BACK_MS = 10_000;
/** It looks back by whole seconds, so for sure so far. */
const WINDOW_MS = 9_000;

interface First {
  readonly id: string;
  readonly atMs: number;
}

/** What arrived again. It was sent at some time between these. */
interface Retry extends Interval {
  readonly id: string;
}

/**
 * Retries never add more than 20 % and 10 a second to what callers send: of each caller at each service, in every
 * window. A retry was made between the first sending of its request and its own arrival: those for which both are in a
 * window were made in it, and what a frozen application reads late proves nothing.
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
        check(evidence, client, service, all, firstsOf(evidence, client, service)),
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
  evidence: Evidence,
  client: string,
  service: string,
  arrivals: readonly Arrival[],
  firsts: readonly First[],
): Violation[] {
  const retries = retriesOf(arrivals, firsts);
  for (const { fromMs } of retries) {
    const endMs = fromMs + WINDOW_MS;
    const made = retries.filter((one) => one.fromMs >= fromMs && one.toMs <= endMs);
    const sent = firsts.filter(({ atMs }) => atMs >= fromMs - LOOKS_BACK_MS && atMs <= endMs).length;
    const budgets = budgetsOf(evidence, client, { fromMs: fromMs - LOOKS_BACK_MS, toMs: endMs });
    const allowed = sent * RATIO * budgets.each + AT_LEAST * budgets.all;
    if (made.length <= allowed) continue;
    return [
      {
        invariant: 'retry-budget',
        detail: `${made.length} retries of ${client} at ${service} within ${WINDOW_MS / 1000} s, of ${sent} requests: more than ${allowed.toFixed(0)}`,
        requests: made.slice(0, 20).map(({ id }) => id),
      },
    ];
  }
  return [];
}

/** Of each request all that arrived beyond how often it was sent first, the last. */
function retriesOf(arrivals: readonly Arrival[], firsts: readonly First[]): Retry[] {
  const sent = Map.groupBy(firsts, ({ id }) => id);
  return [...Map.groupBy(arrivals, ({ id }) => id)].flatMap(([id, all]) => {
    const first = sent.get(id);
    if (first === undefined) return [];
    const fromMs = Math.min(...first.map(({ atMs }) => atMs));
    const times = all.map(({ atMs }) => atMs).sort((a, b) => a - b);
    return times.slice(first.length).map((toMs) => ({ id, fromMs, toMs }));
  });
}

/** How many budgets a caller had in this time: each of its sidecars has one, and a new one (`each`) whenever it starts anew. */
function budgetsOf({ endpoints, strikes }: Evidence, client: string, { fromMs, toMs }: Interval) {
  const parts = endpoints.get(client) ?? [client];
  const kills = strikes.filter(
    (one) =>
      one.fault.startsWith('kill-') &&
      (one.target === client || parts.includes(one.target)) &&
      one.fromMs <= toMs &&
      one.toMs >= fromMs,
  );
  const each = 1 + kills.length;
  return { each, all: parts.length * each };
}

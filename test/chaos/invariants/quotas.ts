import type { Evidence, Interval, Invariant, KnownQuota } from '../evidence.ts';

/**
 * No service gets more than its quota, in any window, whoever of quota store and control planes is away.
 *
 * A request was let in at some time between its client's sending and its arrival at the application. So requests that
 * were sent and arrived within one window were let in within it: if they are more than `burst + rate * T`, the quota was
 * exceeded, without any slack; and what a frozen application reads late proves nothing. That is the bound for `on-outage
 * share` too: shares begin empty, and are no more than the quota together (decision 025).
 */
export const quotasKept: Invariant = {
  name: 'quotas-kept',
  check(evidence) {
    return evidence.quotas.flatMap((quota) => {
      const { tokens, perMs, burst, service } = quota;
      const worst = worstWindow(letIn(evidence, quota), tokens / perMs);
      if (worst === undefined || worst.excess <= burst + 1e-6) return [];
      const { fromMs, toMs, ids } = worst;
      return [
        {
          invariant: 'quotas-kept',
          detail: `${service} got ${ids.length} requests within ${Math.round(toMs - fromMs)} ms: more than ${tokens} in ${perMs} ms and ${burst} at once`,
          requests: ids.slice(0, 20),
        },
      ];
    });
  },
};

interface LetIn extends Interval {
  readonly id: string;
}

/** Each request that got to the service: when it was sent first, and when it arrived. */
function letIn({ requests, arrivals }: Evidence, { service, fromMs, toMs }: KnownQuota): LetIn[] {
  const sentMs = new Map(requests.map(({ id, startMs }) => [id, startMs]));
  return arrivals
    .filter(({ service: at, atMs }) => at === service && atMs >= fromMs && atMs <= toMs)
    .flatMap(({ id, atMs }) => {
      const startMs = sentMs.get(id);
      return startMs === undefined ? [] : [{ id, fromMs: startMs, toMs: atMs }];
    });
}

interface Window extends Interval {
  /** Of those within it, beyond what the rate gives in its time. */
  readonly excess: number;
  readonly ids: readonly string[];
}

/** The window that holds the most beyond the rate. It begins when one was sent, and ends when one arrived. */
function worstWindow(all: readonly LetIn[], rate: number): Window | undefined {
  const byArrival = [...all].sort((a, b) => a.toMs - b.toMs);
  let worst: Omit<Window, 'ids'> | undefined;
  for (const { fromMs } of all) {
    let count = 0;
    for (const one of byArrival) {
      if (one.fromMs < fromMs || one.toMs < fromMs) continue;
      count++;
      const excess = count - rate * (one.toMs - fromMs);
      if (worst === undefined || excess > worst.excess) worst = { fromMs, toMs: one.toMs, excess };
    }
  }
  if (worst === undefined) return undefined;
  const { fromMs, toMs } = worst;
  const within = byArrival.filter((one) => one.fromMs >= fromMs && one.toMs <= toMs);
  return { ...worst, ids: within.map(({ id }) => id) };
}

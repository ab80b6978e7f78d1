import type { Invariant, KnownQuota } from '../evidence.ts';

/** No service gets more than its quota, in any window, whoever of quota store and control planes is away. */
export const quotasKept: Invariant = {
  name: 'quotas-kept',
  check({ arrivals, quotas }) {
    return quotas.flatMap((quota) => {
      const mine = arrivals
        .filter(
          ({ service, atMs }) => service === quota.service && atMs >= quota.fromMs && atMs <= quota.toMs,
        )
        .sort((a, b) => a.atMs - b.atMs);
      const first = mine.findIndex((_arrival, index) =>
        exceeds(
          mine.map(({ atMs }) => atMs),
          index,
          quota,
        ),
      );
      if (first < 0) return [];
      return [
        {
          invariant: 'quotas-kept',
          detail: `${quota.service} got more than ${quota.tokens} in ${quota.perMs} ms and ${quota.burst} at once`,
          requests: mine.slice(first, first + 20).map(({ id }) => id),
        },
      ];
    });
  },
};

/** Whether some window that begins with `from` holds more than a bucket of that rate and burst lets through. */
function exceeds(times: readonly number[], from: number, { tokens, perMs, burst }: KnownQuota): boolean {
  const start = times[from] ?? 0;
  const rate = tokens / perMs;
  return times.slice(from).some((time, index) => index + 1 > burst + rate * (time - start) + 1e-6);
}

import type { Evidence, Interval, Invariant, KnownQuota, Strike } from '../evidence.ts';

/** While nothing is ill, a service gets at least so much of its quota. */
const LEAST_USED = 0.7;
/** Shorter ones say little of so few requests: an answer of Redis that is late on a busy machine costs a second. */
const LEAST_MS = 4_000;
/** So long after a fault quotas are drawn as before: a Redis that is empty gives nothing for a second. */
const SETTLE_MS = 3_000;
/** A store that answered too late is asked again four times a second. */
const AFTER_STALL_MS = 500;
/** Without this much more than the quota it need not be used up. */
const DEMAND = 1.2;
/** A sidecar that died unseen keeps its share for two minutes (decision 025). */
const FORGOTTEN_MS = 125_000;
/** What is part of giving out quotas, whichever service has them. */
const OF_QUOTAS = new Set(['control-plane', 'control-planes', 'names', 'disk', 'redis']);

/** A quota does not starve its service: what is not given to anybody is lost to all. */
export const quotaUsed: Invariant = {
  name: 'quota-used',
  check: (evidence) =>
    evidence.quotas.flatMap((quota) =>
      quietWindows(evidence, quota)
        .filter(({ used }) => used < LEAST_USED)
        .slice(0, 1)
        .map(({ used, fromMs, toMs }) => ({
          invariant: 'quota-used',
          detail: `${quota.service} got ${Math.round(used * 100)} % of its quota in ${Math.round(toMs - fromMs)} ms in which nothing was ill, from ${Math.round(fromMs)} ms of the clock on`,
          requests: [],
        })),
    ),
};

export interface QuietWindow extends Interval {
  /** Of the quota, 0 to 1; a little more when the burst was not used up before. */
  readonly used: number;
}

/** Windows in which nothing was ill, and more was asked for than the quota. */
export function quietWindows(evidence: Evidence, quota: KnownQuota): QuietWindow[] {
  const { service, tokens, perMs } = quota;
  const sent = evidence.requests.filter(({ services }) => services.includes(service));
  const arrived = evidence.arrivals.filter((arrival) => arrival.service === service);
  return quietTimes(evidence, quota).flatMap(({ fromMs, toMs }) => {
    const whole = (tokens * (toMs - fromMs)) / perMs;
    const within = (ms: number): boolean => ms >= fromMs && ms < toMs;
    const asked = sent.filter(({ startMs }) => within(startMs)).length;
    if (toMs - fromMs < LEAST_MS || asked < DEMAND * whole) return [];
    return [{ fromMs, toMs, used: arrived.filter(({ atMs }) => within(atMs)).length / whole }];
  });
}

function quietTimes({ strikes, stalls, endpoints, requests }: Evidence, quota: KnownQuota): Interval[] {
  const { service } = quota;
  const own = new Set([service, ...(endpoints.get(service) ?? [])]);
  for (const { services, entry } of requests) if (services.includes(service)) own.add(entry);
  const ill = [
    ...strikes
      .filter(({ aim, target }) => OF_QUOTAS.has(aim) || own.has(target))
      .map((strike) => ({
        fromMs: strike.fromMs,
        toMs: strike.toMs + (isUnseenDeath(strike, strikes) ? FORGOTTEN_MS : SETTLE_MS),
      })),
    ...stalls.map(({ fromMs, toMs }) => ({ fromMs, toMs: toMs + AFTER_STALL_MS })),
  ].sort((a, b) => a.fromMs - b.fromMs);
  const quiet: Interval[] = [];
  let { fromMs } = quota;
  for (const one of ill) {
    if (one.fromMs > fromMs) quiet.push({ fromMs, toMs: one.fromMs });
    fromMs = Math.max(fromMs, one.toMs);
  }
  return [...quiet, { fromMs, toMs: quota.toMs }];
}

/** A sidecar was killed while those who would have noted it were ill themselves. */
function isUnseenDeath({ fault, fromMs, toMs }: Strike, strikes: readonly Strike[]): boolean {
  if (fault !== 'kill-sidecar') return false;
  return strikes.some(
    (one) => OF_QUOTAS.has(one.aim) && one.fromMs < toMs && one.toMs + SETTLE_MS > fromMs - SETTLE_MS,
  );
}

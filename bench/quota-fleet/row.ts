import type { Fleet, Run } from './fleet.ts';

/** The figures of one phase. */
export interface Row {
  readonly phase: string;
  /** Admitted of what the quota allows, and of what came. */
  readonly utilisation: number;
  readonly admittedShare: number;
  /** Beyond burst + rate * T in the worst window up to here. */
  readonly excess: number;
  /** Of all requests, those that had to wait for the store, and how long. */
  readonly waitedShare: number;
  readonly waitP99Ms: number;
  readonly waitMaxMs: number;
  /** How late the processes of sidecars were themselves, at worst. */
  readonly lateMs: number;
  readonly decisionP99Us: number;
  /** Not known of a phase in which a Redis began anew. */
  readonly commandsPerAdmitted?: number;
  /** How far the sidecar that got least, and the one that got most, are from the mean; of equal demand only. */
  readonly unfairness?: number;
  /** From the end of the fault until 80 % of the quota were admitted again. */
  readonly recoveryMs?: number;
  readonly changes?: Changes;
}

/** How soon sidecars were told of another quota: after it was written to a registry, and after it was published. */
interface Changes {
  readonly told: number;
  readonly writtenP50Ms: number;
  readonly writtenP99Ms: number;
  readonly publishedP50Ms: number;
  readonly publishedP99Ms: number;
}

/** What is in this part of the time after an outage counts as back. */
const BACK_WINDOW_MS = 200;
const BACK_SHARE = 0.8;

/** The figures that all phases have. */
export function rowOf(phase: string, fleet: Fleet, run: Run): Row {
  const { fromMs, toMs, waitedMs, refused } = run;
  const admitted = sum(run.each);
  return {
    phase,
    utilisation: fleet.utilisation(fromMs, toMs),
    admittedShare: admitted / Math.max(1, admitted + refused),
    excess: fleet.excess,
    waitedShare: waitedMs.length / Math.max(1, admitted + refused),
    waitP99Ms: quantile(waitedMs, 0.99),
    waitMaxMs: quantile(waitedMs, 1),
    lateMs: run.lateMs,
    decisionP99Us: quantile(run.decidedUs, 0.99),
  };
}

export function unfairness({ each }: Run): number {
  const mean = sum(each) / each.length;
  return Math.max(...each.map((one) => Math.abs(one - mean) / mean));
}

/** From `overMs` until the fleet was back, in ms; Infinity: it was not, by `toMs`. */
export function recoveryAfter(fleet: Fleet, overMs: number, toMs: number): number {
  for (let ms = overMs; ms + BACK_WINDOW_MS < toMs; ms += 20)
    if (fleet.utilisation(ms, ms + BACK_WINDOW_MS) >= BACK_SHARE) return ms - overMs;
  return Number.POSITIVE_INFINITY;
}

/** The value below which so much of all is, 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export function sum(values: readonly number[]): number {
  return values.reduce((all, one) => all + one, 0);
}

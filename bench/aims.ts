import type { Summary } from './cell.ts';

/** One thing that Tulle promises, and whether this run showed it. */
export interface Aim {
  /** What is promised, with its limit. */
  text: string;
  measured: number;
  limit: number;
  unit: string;
  holds: boolean;
}

function aim(text: string, measured: number | undefined, limit: number | undefined, unit: string): Aim[] {
  if (measured === undefined || limit === undefined) return [];
  return [{ text, measured, limit, unit, holds: measured <= limit }];
}

const cpuLimits: Readonly<Record<string, number>> = {
  '100b': 0.6,
  '16k': 0.6,
  '1m': 0.6,
  post: 0.6,
  mtls: 0.7,
};

/** Compares medians with the aims of the project. What was not measured is left out. */
export function checkAims(summaries: readonly Summary[]): Aim[] {
  const find = (scenario: string, peer: string) =>
    summaries.find((summary) => summary.scenario === scenario && summary.peer === peer);
  const tulle = summaries.filter(({ peer }) => peer === 'tulle');
  const start = find('start', 'tulle');
  return [
    ...tulle.flatMap(({ scenario, load }) =>
      aim(`${scenario}: CPU a request, of Envoy's`, load?.cpuOfEnvoy?.median, cpuLimits[scenario], 'x'),
    ),
    ...tulle.flatMap(({ scenario, load }) =>
      aim(
        `${scenario}: p99, against Envoy's`,
        load?.p99Ms.median,
        find(scenario, 'envoy')?.load?.p99Ms.median,
        'ms',
      ),
    ),
    ...aim('idle RSS', start && start.idleRss.median / 1e6, 60, 'MB'),
    ...aim('idle USS', start && start.idleUss.median / 1e6, 20, 'MB'),
    ...aim('cold start to accept', start?.acceptMs.median, 100, 'ms'),
  ];
}

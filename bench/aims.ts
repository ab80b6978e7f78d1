import type { Summary } from './cell.ts';
import type { FigureName } from './figures.ts';
import type { DecisionReport } from './routing/decision.ts';

/** One thing that Tulle promises, and whether this run showed it. */
export interface Aim {
  /** What is promised. */
  text: string;
  measured: number;
  limit: number;
  unit: string;
  /** Whether the limit is the least allowed, and not the most. */
  atLeast: boolean;
  holds: boolean;
}

type Measured = number | undefined;

function atMost(text: string, measured: Measured, limit: Measured, unit: string): Aim[] {
  if (measured === undefined || limit === undefined) return [];
  return [{ text, measured, limit, unit, atLeast: false, holds: measured <= limit }];
}

function atLeast(text: string, measured: Measured, limit: Measured, unit: string): Aim[] {
  if (measured === undefined || limit === undefined) return [];
  return [{ text, measured, limit, unit, atLeast: true, holds: measured >= limit }];
}

/** CPU of one unit of work, as a share of Envoy's. */
const cpuLimits: Readonly<Record<string, number>> = {
  '100b': 0.6,
  '16k': 0.6,
  '1m': 0.6,
  post: 0.6,
  mtls: 0.7,
  mesh: 0.7,
  h2: 1,
  'h2-16k': 1,
  'h2-mesh': 1,
  grpc: 1,
  'grpc-stream': 1,
};

/** Scenarios whose p99 in a saturated closed loop is held against Envoy's. */
const latencyScenarios: ReadonlySet<string> = new Set(['100b', '16k', '1m', 'post', 'mtls', 'mesh']);

const decisionLimitNs = 5000;

/** Finds medians in the summaries of a run. */
function medians(summaries: readonly Summary[]) {
  const find = (scenario: string, peer: string) =>
    summaries.find((summary) => summary.scenario === scenario && summary.peer === peer);
  return {
    tulle: summaries.filter(({ peer }) => peer === 'tulle'),
    find,
    figure: (scenario: string, peer: string, name: FigureName) =>
      find(scenario, peer)?.figures?.[name]?.median,
  };
}

type Medians = ReturnType<typeof medians>;

function loadAims({ tulle, find }: Medians): Aim[] {
  return [
    ...tulle.flatMap(({ scenario, load }) =>
      atMost(`${scenario}: CPU, of Envoy's`, load?.cpuOfEnvoy?.median, cpuLimits[scenario], 'x'),
    ),
    ...tulle
      .filter(({ scenario }) => latencyScenarios.has(scenario))
      .flatMap(({ scenario, load }) => {
        const envoy = find(scenario, 'envoy')?.load?.p99Ms.median;
        return atMost(`${scenario}: p99, against Envoy's`, load?.p99Ms.median, envoy, 'ms');
      }),
    ...atLeast(
      "tcp: throughput of a full core, of HAProxy's",
      find('tcp', 'tulle')?.load?.throughputOfHaproxy?.median,
      0.9,
      'x',
    ),
  ];
}

function figureAims({ figure }: Medians): Aim[] {
  const kib = (scenario: string) => figure(scenario, 'tulle', 'connectionRss');
  return [
    ...atMost(
      "half-load: p99 added, against Envoy's",
      figure('half-load', 'tulle', 'addedP99Ms'),
      figure('half-load', 'envoy', 'addedP99Ms'),
      'ms',
    ),
    ...atLeast(
      'overload: goodput of a full core at twice the peak, of the peak',
      figure('overload', 'tulle', 'goodputShare'),
      0.9,
      'x',
    ),
    ...atMost('an idle connection', kib('idle-connections'), 8, 'KiB'),
    ...atMost('an idle connection by TLS', kib('idle-connections-tls'), 40, 'KiB'),
  ];
}

function startAims({ find }: Medians): Aim[] {
  const start = find('start', 'tulle');
  const envoy = find('start', 'envoy');
  return [
    ...atMost('idle RSS', start && start.idleRss.median / 1e6, 60, 'MB'),
    ...atMost(
      "idle RSS, against Envoy's",
      start && start.idleRss.median / 1e6,
      envoy && envoy.idleRss.median / 1e6,
      'MB',
    ),
    ...atMost('idle USS', start && start.idleUss.median / 1e6, 20, 'MB'),
    ...atMost('cold start to accept', start?.acceptMs.median, 100, 'ms'),
  ];
}

/** Compares medians with the aims of the project. What was not measured is left out. */
export function checkAims(summaries: readonly Summary[], decisions: readonly DecisionReport[]): Aim[] {
  const found = medians(summaries);
  const decision = decisions.find(({ routes }) => routes === 10_000);
  return [
    ...loadAims(found),
    ...atMost('route decision at 10,000 routes, p99', decision?.p99Ns, decisionLimitNs, 'ns'),
    ...figureAims(found),
    ...startAims(found),
  ];
}

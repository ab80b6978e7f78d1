import type { Aim } from './aims.ts';
import type { Cell, LoadSummary, Summary } from './cell.ts';
import { type FigureName, figureTitles } from './figures.ts';
import type { DecisionReport } from './routing/decision.ts';
import type { Scenario } from './scenarios.ts';
import type { Spread } from './statistics.ts';
import { layOutTable } from './table.ts';

/** Where and how a run was made. */
export interface Circumstances {
  date: string;
  commit: string;
  processor: string;
  kernel: string;
  proxyCore: number;
  loadCore: number;
  rounds: number;
  seconds: number;
  connections: number;
  /** Name and version of each peer. */
  versions: string[];
}

/** All that a run found. */
export interface Run {
  circumstances: Circumstances;
  scenarios: readonly Scenario[];
  cells: readonly Cell[];
  summaries: readonly Summary[];
  decisions: readonly DecisionReport[];
  aims: readonly Aim[];
  /** Peers that could not be measured here, and why. */
  missing: ReadonlyMap<string, string>;
}

const header = [
  'scenario',
  'peer',
  'unit',
  'units/s',
  'CPU us/unit (min..max)',
  'of Envoy (min..max)',
  'p50 ms',
  'p99 ms',
  'p99.9 ms',
  'core',
  'RSS MB idle/load',
  'USS MB idle/load',
  'start ms accept/answer',
];

const noisy = 0.05;

function digits(value: number): string {
  if (value !== 0 && Math.abs(value) < 0.1) return value.toFixed(3);
  return value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0);
}

function withSpread({ median, min, max }: Spread): string {
  return `${digits(median)} (${digits(min)}..${digits(max)})`;
}

function memory(idle: Spread, loaded: Spread | undefined): string {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
  return `${megabytes(idle.median)} / ${loaded === undefined ? '-' : megabytes(loaded.median)}`;
}

/** A stream of bytes has no times. */
function time({ median }: Spread): string {
  return median === 0 ? '-' : digits(median);
}

function loadColumns(load: LoadSummary): string[] {
  return [
    Math.round(load.requestsPerSecond.median).toString(),
    withSpread(load.cpuMicrosPerRequest),
    load.cpuOfEnvoy === undefined ? '-' : withSpread(load.cpuOfEnvoy),
    ...[load.p50Ms, load.p99Ms, load.p999Ms].map(time),
    `${Math.round(load.proxyShare.median * 100)} %${load.otherShare.max > noisy ? ' *' : ''}`,
  ];
}

function row(summary: Summary, scenarios: readonly Scenario[]): string[] {
  const { scenario, peer, load } = summary;
  const columns = load === undefined ? Array<string>(7).fill('-') : loadColumns(load);
  return [
    scenario,
    peer,
    load === undefined ? '-' : (scenarios.find(({ name }) => name === scenario)?.unit ?? 'req'),
    ...columns,
    memory(summary.idleRss, load?.loadedRss),
    memory(summary.idleUss, load?.loadedUss),
    `${digits(summary.acceptMs.median)} / ${digits(summary.coldStartMs.median)}`,
  ];
}

function remarks({ summaries, cells, missing }: Run): string[] {
  const noise = Math.max(0, ...summaries.map(({ load }) => load?.otherShare.max ?? 0));
  return [
    ...(noise > noisy
      ? [`\\* Others used up to ${Math.round(noise * 100)} % of the proxy core meanwhile.`]
      : []),
    ...summaries.flatMap(({ scenario, peer, load }) =>
      load !== undefined && load.errors > 0
        ? [`${scenario}, ${peer}: ${load.errors} failed under load.`]
        : [],
    ),
    ...cells.flatMap(({ scenario, peer, failures }) =>
      failures.map((failure) => `${scenario}, ${peer}: a round failed: ${failure.replaceAll('\n', ' ')}`),
    ),
    ...[...missing].map(([peer, why]) => `${peer} was not measured: ${why}`),
  ];
}

function figureTable(name: string, summaries: readonly Summary[]): string[] {
  const own = summaries.filter(({ scenario, figures }) => scenario === name && figures !== undefined);
  const columns = (Object.keys(figureTitles) as FigureName[]).filter((figure) =>
    own.some(({ figures }) => figures?.[figure] !== undefined),
  );
  if (columns.length === 0) return [];
  const rows = own.map(({ peer, figures }) => [
    name,
    peer,
    ...columns.map((figure) => {
      const spread = figures?.[figure];
      return spread === undefined ? '-' : withSpread(spread);
    }),
  ]);
  return [layOutTable(['scenario', 'peer', ...columns.map((figure) => figureTitles[figure])], rows, 2)];
}

function decisionTable(decisions: readonly DecisionReport[]): string[] {
  if (decisions.length === 0) return [];
  const rows = decisions.map(({ routes, p50Ns, p99Ns }) => [
    "Tulle's route decision alone",
    ...[routes, p50Ns, p99Ns].map((value) => Math.round(value).toString()),
  ]);
  return [layOutTable(['in process', 'routes', 'p50 ns', 'p99 ns'], rows, 1)];
}

function aimTable(aims: readonly Aim[]): string[] {
  if (aims.length === 0) return [];
  const rows = aims.map(({ text, measured, limit, unit, atLeast, holds }) => [
    text,
    holds ? 'holds' : 'MISSED',
    `${digits(measured)} ${unit}`,
    `${atLeast ? '>=' : '<='} ${digits(limit)} ${unit}`,
  ]);
  return [layOutTable(['aim', '', 'measured', 'limit'], rows, 2)];
}

/** The tables of a run, with its aims and remarks, in Markdown that a terminal shows well too. */
export function reportTable(run: Run): string {
  const loaded = run.summaries.filter(({ figures }) => figures === undefined);
  const rows = loaded.map((summary) => row(summary, run.scenarios));
  const names = new Set(run.summaries.map(({ scenario }) => scenario));
  const notes = remarks(run);
  return [
    ...(rows.length > 0 ? [layOutTable(header, rows, 3)] : []),
    ...[...names].flatMap((name) => figureTable(name, run.summaries)),
    ...decisionTable(run.decisions),
    ...aimTable(run.aims),
    ...(notes.length > 0 ? [notes.map((note) => `- ${note}`).join('\n')] : []),
  ].join('\n\n');
}

/** The whole page for a run. */
export function reportPage(run: Run): string {
  const { circumstances: c, scenarios } = run;
  return `# Bench results

Made by \`npm run bench\` on ${c.date}, commit ${c.commit}. How it measures, and what is fair about it: [README](../README.md).

- Machine: ${c.processor}, Linux ${c.kernel}; proxies on core ${c.proxyCore}, client and application on core ${c.loadCore}.
- Peers: ${c.versions.join(', ')}.
- ${c.connections} connections unless said otherwise, up to ${c.rounds} interleaved rounds of ${c.seconds} s; medians, in brackets the smallest and largest round.

${reportTable(run)}

Scenarios:
${scenarios.map(({ name, title }) => `- \`${name}\`: ${title}`).join('\n')}

"unit" is what is counted: requests, messages, MB or connections; CPU us/MB are CPU ms/GB. "of Envoy" is the CPU
time a unit divided by Envoy's in the same round; "core" is how much of its core the proxy used. MB are 10^6 bytes,
KiB 2^10. Shares are of 1.
`;
}

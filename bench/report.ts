import type { Aim } from './aims.ts';
import type { Cell, LoadSummary, Summary } from './cell.ts';
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
  aims: readonly Aim[];
  /** Peers that could not be measured here, and why. */
  missing: ReadonlyMap<string, string>;
}

const header = [
  'scenario',
  'peer',
  'req/s',
  'CPU us/req (min..max)',
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
  return value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0);
}

function withSpread({ median, min, max }: Spread): string {
  return `${digits(median)} (${digits(min)}..${digits(max)})`;
}

function memory(idle: Spread, loaded: Spread | undefined): string {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
  return `${megabytes(idle.median)} / ${loaded === undefined ? '-' : megabytes(loaded.median)}`;
}

function loadColumns(load: LoadSummary): string[] {
  return [
    Math.round(load.requestsPerSecond.median).toString(),
    withSpread(load.cpuMicrosPerRequest),
    load.cpuOfEnvoy === undefined ? '-' : withSpread(load.cpuOfEnvoy),
    digits(load.p50Ms.median),
    digits(load.p99Ms.median),
    digits(load.p999Ms.median),
    `${Math.round(load.proxyShare.median * 100)} %${load.otherShare.max > noisy ? ' *' : ''}`,
  ];
}

function row(summary: Summary): string[] {
  const { scenario, peer, load } = summary;
  const columns = load === undefined ? Array<string>(7).fill('-') : loadColumns(load);
  return [
    scenario,
    peer,
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
      load !== undefined && load.errors > 0 ? [`${scenario}, ${peer}: ${load.errors} requests failed.`] : [],
    ),
    ...cells.flatMap(({ scenario, peer, failures }) =>
      failures.map((failure) => `${scenario}, ${peer}: a round failed: ${failure.replaceAll('\n', ' ')}`),
    ),
    ...[...missing].map(([peer, why]) => `${peer} was not measured: ${why}`),
  ];
}

/** The table of a run, with its aims and remarks, in Markdown that a terminal shows well too. */
export function reportTable(run: Run): string {
  const table = layOutTable(header, run.summaries.map(row), 2);
  const aims = run.aims.map(({ text, measured, limit, unit, holds }) => [
    text,
    holds ? 'holds' : 'MISSED',
    `${digits(measured)} ${unit}`,
    `${digits(limit)} ${unit}`,
  ]);
  const parts = [table];
  if (aims.length > 0) parts.push(layOutTable(['aim', '', 'measured', 'at most'], aims, 2));
  const notes = remarks(run);
  if (notes.length > 0) parts.push(notes.map((note) => `- ${note}`).join('\n'));
  return parts.join('\n\n');
}

/** The whole page for a run. */
export function reportPage(run: Run): string {
  const { circumstances: c, scenarios } = run;
  return `# Bench results

Made by \`npm run bench\` on ${c.date}, commit ${c.commit}. How it measures, and what is fair about it: [README](../README.md).

- Machine: ${c.processor}, Linux ${c.kernel}; proxies on core ${c.proxyCore}, client and application on core ${c.loadCore}.
- Peers: ${c.versions.join(', ')}.
- wrk, ${c.connections} connections, ${c.rounds} interleaved rounds of ${c.seconds} s; medians, in brackets the smallest and largest round.

${reportTable(run)}

Scenarios:
${scenarios.map(({ name, title }) => `- \`${name}\`: ${title}`).join('\n')}

"of Envoy" is the CPU time a request divided by Envoy's in the same round; "core" is how much of its core the
proxy used. MB are 10^6 bytes.
`;
}

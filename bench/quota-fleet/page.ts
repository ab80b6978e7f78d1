import type { Row } from './row.ts';

interface Figures {
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly load: number;
  readonly sidecars: number;
  readonly controlPlanes: number;
  readonly quota: string;
  readonly rows: readonly Row[];
}

const COLUMNS = [
  'Phase',
  'Used of the quota',
  'Let in of what came',
  'Exceeded by',
  'Had to wait',
  'Wait p99',
  'Longest wait',
  'The process was late by',
  'Decision p99',
  'Redis commands a request',
  'Farthest from a fair share',
  'Back after',
];

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const ms = (value: number): string => `${value.toFixed(1)} ms`;

/** The result page, in Markdown. */
export function pageOf(figures: Figures): string {
  const { date, processor, cores, load, sidecars, controlPlanes, quota, rows } = figures;
  const lines = [COLUMNS, COLUMNS.map(() => '---'), ...rows.map(cellsOf)];
  return `# Quotas on real Redis

\`node bench/quota-fleet/main.ts\`, ${date}: ${sidecars} sidecars (the quota part of each, in processes of ten), ${controlPlanes} control planes
and one Redis; the quota is ${quota}. ${cores} cores of ${processor}; the load of the machine was ${load.toFixed(1)}: above the number
of cores it is others that are measured too. A burst that was saved up is used up before each phase; what is used beyond
100 % is what was left of it. "The process was late" is the worst delay of the sidecars' own timers: who waits, waits
so much longer than the 30 ms after which a sidecar decides by itself.

${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}
${rows.map(changesOf).join('')}`;
}

function cellsOf(row: Row): string[] {
  return [
    row.phase,
    percent(row.utilisation),
    percent(row.admittedShare),
    row.excess <= 0 ? 'never' : row.excess.toFixed(0),
    percent(row.waitedShare),
    ms(row.waitP99Ms),
    ms(row.waitMaxMs),
    ms(row.lateMs),
    `${row.decisionP99Us.toFixed(1)} us`,
    row.commandsPerAdmitted?.toFixed(4) ?? '',
    row.unfairness === undefined ? '' : percent(row.unfairness),
    row.recoveryMs === undefined ? '' : `${row.recoveryMs.toFixed(0)} ms`,
  ];
}

function changesOf({ changes }: Row): string {
  if (changes === undefined) return '';
  const { told, writtenP50Ms, writtenP99Ms, publishedP50Ms, publishedP99Ms } = changes;
  return `
A changed quota was told ${told} times to a sidecar: after the control plane that read it first had published it in p50
${ms(publishedP50Ms)}, p99 ${ms(publishedP99Ms)}; after its file was written, of which it waits 50 ms for more, in p50 ${ms(writtenP50Ms)}, p99 ${ms(writtenP99Ms)}.
`;
}

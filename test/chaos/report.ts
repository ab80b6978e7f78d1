import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Evidence, SentRequest, Strike, Violation } from './evidence.ts';
import { excuseOf } from './invariants/no-lost-request.ts';
import { quietWindows } from './invariants/quota-used.ts';
import type { StormResult } from './storm.ts';

const LAST_LINES = 8;
const SHOWN_REQUESTS = 5;
const SLOW_QUANTILE = 0.99;

/** What is kept of a storm. */
export interface StormRecord {
  readonly seed: number;
  readonly passed: boolean;
  /** How often each fault came. */
  readonly faults: Record<string, number>;
  /** How often each of them really hit something. */
  readonly struck: Record<string, number>;
  readonly requests: number;
  readonly failed: number;
  /** Failed requests by kind and reason, all of them excused where the storm passed. */
  readonly failures: Record<string, number>;
  /** Failed requests that are excused, by rule and faults, and of each by kind and reason. */
  readonly excused: Record<string, Record<string, number>>;
  readonly quotas: readonly QuotaRecord[];
  readonly violations: readonly string[];
}

interface QuotaRecord {
  readonly service: string;
  readonly letIn: number;
  readonly refused: number;
  /** The least and the mean share of the quota that was used in windows in which nothing was ill. */
  readonly quietWindows: number;
  readonly leastUsed: number | null;
  readonly meanUsed: number | null;
}

type Judged = Omit<StormResult, 'mesh'>;

export function recordOf({ seed, plan, violations, evidence }: Judged): StormRecord {
  const { requests, strikes } = evidence;
  const failed = requests.filter(({ ok }) => !ok);
  return {
    seed,
    passed: violations.length === 0,
    faults: countBy(plan, ({ fault }) => fault),
    struck: countBy(strikes.filter(hasStruck), ({ fault }) => fault),
    requests: requests.length,
    failed: failed.length,
    failures: countBy(failed, whatFailed),
    excused: excusedBy(failed, evidence),
    quotas: quotaRecords(evidence),
    violations: violations.map(({ invariant, detail }) => `${invariant}: ${detail}`),
  };
}

function hasStruck({ sign }: Strike): boolean {
  return sign !== '';
}

function whatFailed({ kind, reason, status }: SentRequest): string {
  return `${kind}: ${reason || `status ${status}`}`;
}

function excusedBy(failed: readonly SentRequest[], evidence: Evidence): StormRecord['excused'] {
  const groups = Map.groupBy(failed, (request) => {
    const excuse = excuseOf(request, evidence);
    return excuse === undefined ? '' : `${excuse.rule} (${excuse.faults.join(', ')})`;
  });
  groups.delete('');
  const largestFirst = [...groups].sort(([, a], [, b]) => b.length - a.length);
  return Object.fromEntries(largestFirst.map(([rule, all]) => [rule, countBy(all, whatFailed)]));
}

function quotaRecords(evidence: Evidence): QuotaRecord[] {
  return evidence.quotas.map((quota) => {
    const { service } = quota;
    const used = quietWindows(evidence, quota).map((window) => window.used);
    const rounded = (share: number) => Number(share.toFixed(3));
    return {
      service,
      letIn: evidence.arrivals.filter((arrival) => arrival.service === service).length,
      refused: evidence.requests.filter(
        ({ status, services }) => status === 429 && services.includes(service),
      ).length,
      quietWindows: used.length,
      leastUsed: used.length === 0 ? null : rounded(Math.min(...used)),
      meanUsed: used.length === 0 ? null : rounded(used.reduce((sum, one) => sum + one, 0) / used.length),
    };
  });
}

/** A fault that came so often, and never hit anything, is broken. */
const OFTEN = 2;

/** Faults that never hit anything in all these storms, though they came often enough. */
export function neverStruck(storms: readonly Pick<StormRecord, 'faults' | 'struck'>[]): string[] {
  const sum = (of: 'faults' | 'struck', name: string): number =>
    storms.reduce((total, storm) => total + (storm[of][name] ?? 0), 0);
  const names = new Set(storms.flatMap(({ faults }) => Object.keys(faults)));
  return [...names].filter((name) => sum('faults', name) >= OFTEN && sum('struck', name) === 0);
}

/** Lines of figures. */
export function summaryOf({ evidence, plan }: Judged, record: StormRecord): string {
  const { requests, arrivals, stalls, strikes } = evidence;
  const times = requests.map(({ startMs, endMs }) => endMs - startMs).sort((a, b) => a - b);
  const slow = times[Math.floor(times.length * SLOW_QUANTILE)] ?? 0;
  const missed = Object.entries(
    countBy(
      strikes.filter((one) => !hasStruck(one)),
      ({ fault }) => fault,
    ),
  );
  const misses = missed.map(([fault, count]) => `${count} ${fault}`).join(', ');
  return [
    `${requests.length} requests, ${record.failed} failed, ${arrivals.length} arrivals, p99 ${Math.round(slow)} ms, ${stalls.length} stalls of the machine`,
    `  struck ${strikes.filter(hasStruck).length} of ${plan.length} faults${misses === '' ? '' : `; nothing felt ${misses}`}`,
    ...record.quotas.map(quotaLine),
    ...Object.entries(record.excused).map(excusedLine),
  ].join('\n');
}

function quotaLine({
  service,
  letIn,
  refused,
  quietWindows: quiet,
  leastUsed,
  meanUsed,
}: QuotaRecord): string {
  const percent = (share: number | null) => `${Math.round((share ?? 0) * 100)} %`;
  const used =
    quiet === 0
      ? ''
      : `; of its quota used in ${quiet} quiet windows: ${percent(meanUsed)}, at least ${percent(leastUsed)}`;
  return `  quota of ${service}: ${letIn} let in, ${refused} refused${used}`;
}

const SHOWN_REASONS = 4;

function excusedLine([rule, reasons]: [string, Record<string, number>]): string {
  const counts = Object.entries(reasons).sort(([, a], [, b]) => b - a);
  const all = counts.reduce((sum, [, count]) => sum + count, 0);
  const shown = counts.slice(0, SHOWN_REASONS).map(([what, count]) => `${count} ${what}`);
  const more = counts.length > SHOWN_REASONS ? ', ...' : '';
  return `  excused ${all}: ${rule}: ${shown.join(', ')}${more}`;
}

/** Keeps logs, ledgers and evidence of a storm in `folder`. */
export function keepEvidence({ evidence, mesh, plan, seed }: StormResult, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const file of readdirSync(mesh.disk).filter((name) => name.endsWith('.log')))
    cpSync(join(mesh.disk, file), join(folder, file));
  cpSync(mesh.ledgers, join(folder, 'ledgers'), { recursive: true });
  const { requests, arrivals: _, ...rest } = evidence;
  writeFileSync(join(folder, 'plan.json'), JSON.stringify({ seed, plan }, null, 2));
  writeFileSync(
    join(folder, 'failed.json'),
    JSON.stringify(
      requests.filter(({ ok }) => !ok),
      null,
      2,
    ),
  );
  writeFileSync(
    join(folder, 'evidence.json'),
    JSON.stringify({ ...rest, endpoints: [...rest.endpoints] }, null, 2),
  );
}

/** Everything that helps to understand a failing seed. */
export function failureText({ seed, violations, evidence }: Judged, folder: string, replay: string): string {
  return [
    `SEED ${seed} FAILED: ${violations.length} violations`,
    ...violations.flatMap((violation) => violationLines(violation, evidence)),
    `replay: ${replay}`,
    `logs: ${folder}`,
    ...lastLines(folder),
  ].join('\n');
}

function violationLines({ invariant, detail, requests }: Violation, evidence: Evidence): string[] {
  const shown = requests.slice(0, SHOWN_REQUESTS);
  const about = shown.flatMap((id) => {
    const request = evidence.requests.find((one) => one.id === id);
    if (request === undefined) return [];
    const { explanation, ...rest } = request;
    const explained = explanation?.trimEnd().replace(/^/gm, '      ');
    return [
      `    ${JSON.stringify(rest)}`,
      ...(explained === undefined ? [] : [explained]),
      ...impairedLines(request.startMs, request.endMs, evidence),
    ];
  });
  return [
    `  ${invariant}: ${detail}`,
    ...(requests.length > 0 ? [`    requests: ${requests.slice(0, 20).join(' ')}`] : []),
    ...about,
  ];
}

/** The faults around a request. */
function impairedLines(startMs: number, endMs: number, { impairments }: Evidence): string[] {
  const around = impairments.filter(
    ({ fromMs, toMs }) => fromMs <= endMs + 10_000 && toMs >= startMs - 10_000,
  );
  return around.map(
    ({ fault, parts, fromMs, toMs }) =>
      `      fault ${fault} of ${parts.join(' ')}: ${Math.round(fromMs - startMs)} to ${Math.round(toMs - startMs)} ms from its start`,
  );
}

function lastLines(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .flatMap((name) => {
      const lines = readFileSync(join(folder, name), 'utf8').trimEnd().split('\n').slice(-LAST_LINES);
      return lines[0] === '' ? [] : [`  ${name}:`, ...lines.map((line) => `    ${line.slice(0, 400)}`)];
    });
}

function countBy<T>(list: readonly T[], key: (one: T) => string): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(list, key)].map(([name, all]) => [name, all.length]));
}

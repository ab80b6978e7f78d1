import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Evidence, Violation } from './evidence.ts';
import type { StormResult } from './storm.ts';

const LAST_LINES = 8;
const SHOWN_REQUESTS = 5;
const SLOW_QUANTILE = 0.99;

/** What is kept of a storm. */
export interface StormRecord {
  readonly seed: number;
  readonly passed: boolean;
  readonly faults: Record<string, number>;
  readonly requests: number;
  readonly failed: number;
  /** Failed requests by kind and reason, all of them excused where the storm passed. */
  readonly failures: Record<string, number>;
  readonly violations: readonly string[];
}

type Judged = Omit<StormResult, 'mesh'>;

export function recordOf({ seed, plan, violations, evidence: { requests } }: Judged): StormRecord {
  const failed = requests.filter(({ ok }) => !ok);
  return {
    seed,
    passed: violations.length === 0,
    faults: countBy(plan, ({ fault }) => fault),
    requests: requests.length,
    failed: failed.length,
    failures: countBy(failed, ({ kind, reason, status }) => `${kind}: ${reason || `status ${status}`}`),
    violations: violations.map(({ invariant, detail }) => `${invariant}: ${detail}`),
  };
}

/** One line of figures. */
export function summaryOf({ evidence: { requests, arrivals, stalls } }: StormResult): string {
  const failed = requests.filter(({ ok }) => !ok).length;
  const times = requests.map(({ startMs, endMs }) => endMs - startMs).sort((a, b) => a - b);
  const slow = times[Math.floor(times.length * SLOW_QUANTILE)] ?? 0;
  return `${requests.length} requests, ${failed} failed and excused, ${arrivals.length} arrivals, p99 ${Math.round(slow)} ms, ${stalls.length} stalls of the machine`;
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

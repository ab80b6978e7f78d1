import type { FigureName } from './figures.ts';
import type { Sample } from './measure.ts';
import { type Spread, spreadOf } from './statistics.ts';
import type { LoadSample } from './work/saturation.ts';

/** All rounds of one scenario with one peer. */
export interface Cell {
  scenario: string;
  peer: string;
  /** By round; a round that failed is missing. */
  rounds: (Sample | undefined)[];
  /** Why rounds failed. */
  failures: string[];
}

/** What a cell's rounds come to. */
export interface Summary {
  scenario: string;
  peer: string;
  failures: string[];
  acceptMs: Spread;
  coldStartMs: Spread;
  idleRss: Spread;
  idleUss: Spread;
  load?: LoadSummary;
  figures?: Partial<Record<FigureName, Spread>>;
}

/** What a cell's load comes to. Times in the unit of the name, memory in bytes. */
export interface LoadSummary {
  requestsPerSecond: Spread;
  cpuMicrosPerRequest: Spread;
  /** CPU a request as a share of Envoy's, round by round; missing where Envoy was not measured. */
  cpuOfEnvoy?: Spread;
  /** What a full proxy core would do, as a share of HAProxy's, round by round; missing without HAProxy. */
  throughputOfHaproxy?: Spread;
  p50Ms: Spread;
  p99Ms: Spread;
  p999Ms: Spread;
  proxyShare: Spread;
  otherShare: Spread;
  loadedRss: Spread;
  loadedUss: Spread;
  errors: number;
}

/** Rounds are interleaved, so that both sides of a round's ratio met the same state of the machine. */
function cpuRatios(above: Cell | undefined, below: Cell | undefined): number[] {
  if (above === undefined) return [];
  return above.rounds.flatMap((sample, round) => {
    const upper = sample?.load?.cpuMicrosPerRequest;
    const lower = below?.rounds[round]?.load?.cpuMicrosPerRequest;
    return upper === undefined || lower === undefined ? [] : [upper / lower];
  });
}

function summarizeLoad(cell: Cell, peerOf: (name: string) => Cell | undefined): LoadSummary | undefined {
  const loads = cell.rounds.flatMap((sample) => sample?.load ?? []);
  if (loads.length === 0) return undefined;
  const spread = (value: (load: LoadSample) => number) => spreadOf(loads.map(value));
  const ofEnvoy = cpuRatios(cell, peerOf('envoy'));
  const ofHaproxy = cpuRatios(peerOf('haproxy'), cell);
  return {
    requestsPerSecond: spread((load) => load.requestsPerSecond),
    cpuMicrosPerRequest: spread((load) => load.cpuMicrosPerRequest),
    ...(ofEnvoy.length > 0 ? { cpuOfEnvoy: spreadOf(ofEnvoy) } : {}),
    ...(ofHaproxy.length > 0 ? { throughputOfHaproxy: spreadOf(ofHaproxy) } : {}),
    p50Ms: spread((load) => load.p50Ms),
    p99Ms: spread((load) => load.p99Ms),
    p999Ms: spread((load) => load.p999Ms),
    proxyShare: spread((load) => load.proxyShare),
    otherShare: spread((load) => load.otherShare),
    loadedRss: spread((load) => load.loaded.rss),
    loadedUss: spread((load) => load.loaded.uss),
    errors: loads.reduce((sum, load) => sum + load.errors, 0),
  };
}

function summarizeFigures(samples: readonly Sample[]): Summary['figures'] {
  const names = new Set(samples.flatMap(({ figures }) => Object.keys(figures ?? {}) as FigureName[]));
  if (names.size === 0) return undefined;
  return Object.fromEntries(
    [...names].map((name) => [name, spreadOf(samples.flatMap(({ figures }) => figures?.[name] ?? []))]),
  );
}

/** Sums up a cell; `undefined` when none of its rounds succeeded. */
export function summarize(cell: Cell, cells: readonly Cell[]): Summary | undefined {
  const samples = cell.rounds.filter((sample) => sample !== undefined);
  if (samples.length === 0) return undefined;
  const load = summarizeLoad(cell, (name) =>
    cells.find(({ scenario, peer }) => scenario === cell.scenario && peer === name),
  );
  const figures = summarizeFigures(samples);
  return {
    scenario: cell.scenario,
    peer: cell.peer,
    failures: cell.failures,
    acceptMs: spreadOf(samples.map((sample) => sample.acceptMs)),
    coldStartMs: spreadOf(samples.map((sample) => sample.coldStartMs)),
    idleRss: spreadOf(samples.map((sample) => sample.idle.rss)),
    idleUss: spreadOf(samples.map((sample) => sample.idle.uss)),
    ...(load === undefined ? {} : { load }),
    ...(figures === undefined ? {} : { figures }),
  };
}

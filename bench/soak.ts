import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PacedLoad, type PacedReport, runPace } from './load/pace.ts';
import { processesOf, type Running, stop } from './processes.ts';
import type { Peer } from './proxies/peer.ts';
import { type Memory, readMemory } from './readings/memory.ts';
import { scenarios } from './scenarios.ts';
import { layOutTable } from './table.ts';
import { openWay, type Way } from './way.ts';
import type { Site } from './work/site.ts';

/** One reading of a peer's memory. */
interface SoakReading extends Memory {
  /** Since the load began, in seconds. */
  second: number;
}

/** What a soak showed of one peer. */
export interface SoakReport {
  peer: string;
  /** The first is before the load, the last after it and a time of rest. */
  readings: SoakReading[];
  requests: number;
  errors: number;
  /** Why it ended early. */
  failure?: string;
}

const everySeconds = 60;
const restSeconds = 30;

/**
 * The mix: small answers, large ones, uploads, and connections that live for one request. All peers share the proxy
 * core, so the rates are what four of them do with room to spare.
 */
const mix: readonly Pick<PacedLoad, 'path' | 'rate' | 'bodyBytes' | 'keep' | 'connections'>[] = [
  { path: '/bytes/100', rate: 1000, bodyBytes: 0, keep: true, connections: 64 },
  { path: '/bytes/16384', rate: 300, bodyBytes: 0, keep: true, connections: 32 },
  { path: '/upload', rate: 200, bodyBytes: 10_240, keep: true, connections: 32 },
  { path: '/bytes/100', rate: 100, bodyBytes: 0, keep: false, connections: 32 },
];

async function readEveryMinute(proxies: readonly Running[], seconds: number, readings: SoakReading[]) {
  for (let second = everySeconds; second < seconds; second += everySeconds) {
    await sleep(everySeconds * 1000);
    readings.push({ second, ...readMemory(processesOf(proxies)) });
  }
}

function sum(reports: readonly PacedReport[]): Pick<SoakReport, 'requests' | 'errors'> {
  const total = (value: (report: PacedReport) => number) =>
    reports.reduce((before, report) => before + value(report), 0);
  return {
    requests: total(({ requests }) => requests),
    errors: total(({ errors, unavailable, unsent }) => errors + unavailable + unsent),
  };
}

async function soakPeer(site: Site, peer: Peer, { proxies, ports }: Way, seconds: number) {
  const read = () => readMemory(processesOf(proxies));
  const readings: SoakReading[] = [{ second: 0, ...read() }];
  const report: SoakReport = { peer: peer.name, readings, requests: 0, errors: 0 };
  const loads = mix.map((part) =>
    runPace(site.directory, { ...part, port: ports[0] ?? 0, host: 'app.bench', waiting: 10_000, seconds }),
  );
  const ended = Promise.all(loads);
  // Its own rejection is seen below; until then it must not count as one that nobody handles.
  ended.catch(() => undefined);
  try {
    await readEveryMinute(proxies, seconds, readings);
    Object.assign(report, sum(await ended));
    readings.push({ second: seconds, ...read() });
    await sleep(restSeconds * 1000);
    readings.push({ second: seconds + restSeconds, ...read() });
    const failure = proxies.map((proxy) => proxy.failure()).find((text) => text !== undefined);
    if (failure !== undefined) report.failure = failure;
  } catch (error) {
    report.failure = (error as Error).message;
  }
  return report;
}

/** What came of a soak, as a table: memory at the start, in the middle, at the end and after a rest. */
export function soakTable(reports: readonly SoakReport[]): string {
  const header = ['peer', 'requests', 'failed', 'RSS MB: start', 'middle', 'end', 'rested', 'most', 'remark'];
  const megabytes = (reading: SoakReading | undefined) =>
    reading === undefined ? '-' : (reading.rss / 1e6).toFixed(1);
  const rows = reports.map(({ peer, requests, errors, readings, failure }) => [
    peer,
    String(requests),
    String(errors),
    megabytes(readings[0]),
    megabytes(readings[readings.length >> 1]),
    megabytes(readings.at(-2)),
    megabytes(readings.at(-1)),
    megabytes(readings.toSorted((a, b) => b.rss - a.rss)[0]),
    failure === undefined ? '' : failure.replaceAll('\n', ' '),
  ]);
  return layOutTable(header, rows, 1);
}

/**
 * Puts a mixed load on all peers at once for so long, and follows their memory; writes `soak.json`, prints a table.
 * Gives whether all held out without a failed request.
 */
export async function soak(
  site: Site,
  peers: readonly Peer[],
  seconds: number,
  results: string,
): Promise<boolean> {
  const scenario = scenarios.find(({ name }) => name === '100b');
  if (scenario === undefined) throw new Error('there is no scenario 100b');
  const running: Running[] = [];
  try {
    const ways = [];
    for (const peer of peers) {
      const directory = mkdtempSync(join(site.directory, 'soak-'));
      const way = await openWay({ ...site, directory }, scenario, peer, site.cores.proxy, running);
      ways.push({ peer, way });
    }
    await sleep(1000);
    const reports = await Promise.all(ways.map(({ peer, way }) => soakPeer(site, peer, way, seconds)));
    mkdirSync(results, { recursive: true });
    writeFileSync(join(results, 'soak.json'), `${JSON.stringify({ seconds, mix, reports }, null, 2)}\n`);
    console.log(soakTable(reports));
    return reports.every(({ errors, failure }) => errors === 0 && failure === undefined);
  } finally {
    await Promise.all(running.map(stop));
  }
}

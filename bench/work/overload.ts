import { setTimeout as sleep } from 'node:timers/promises';
import { askHttp1 } from '../ask/http1.ts';
import type { Figures } from '../figures.ts';
import { runPace } from '../load/pace.ts';
import { runWrk } from '../load/wrk.ts';
import { processesOf } from '../processes.ts';
import { watchCore } from '../readings/core.ts';
import { connections } from '../scenarios.ts';
import { spreadOf } from '../statistics.ts';
import { type Job, warmUpSeconds } from './site.ts';

/** Asks the admin interface again and again until told to stop; gives the times in ms. One without answer took 2 s. */
async function askAdmin(port: number, path: string, stopped: () => boolean): Promise<number[]> {
  const times: number[] = [];
  while (!stopped()) {
    const start = performance.now();
    await askHttp1({ port, host: 'localhost', path }).catch(() => undefined);
    times.push(performance.now() - start);
    await sleep(50);
  }
  return times;
}

/**
 * Asks for twice of what the proxy can do, on up to so many connections as the scenario has: how much it still does,
 * how long that takes, and whether its admin interface still answers. Rejects when a generator fails.
 */
export async function measureOverload({ site, scenario, peer, way }: Job): Promise<Figures> {
  const port = way.ports[0] ?? 0;
  const closed = { port, scenario: { ...scenario, connections }, directory: site.directory };
  await runWrk({ ...closed, seconds: warmUpSeconds(site.seconds) });
  const pids = processesOf(way.proxies);
  const peakUse = watchCore(site.cores.proxy, pids);
  const peakReport = await runWrk({ ...closed, seconds: site.seconds });
  const peakNanoseconds = peakUse().nanoseconds / peakReport.requests;
  const peak = peakReport.requests / peakReport.seconds;
  const use = watchCore(site.cores.proxy, pids);
  const open = runPace(site.directory, {
    port,
    host: scenario.host,
    path: scenario.path,
    rate: peak * 2,
    connections: scenario.connections,
    waiting: 0,
    seconds: site.seconds,
    bodyBytes: 0,
    keep: true,
    tickMicros: 1000, // Its own work must not take the core from the application.
  });
  let ended = false;
  const admin = peer.adminPath === undefined ? [] : askAdmin(way.admin, peer.adminPath, () => ended);
  const report = await open.finally(() => {
    ended = true;
  });
  const { nanoseconds, otherShare } = use();
  const times = await admin;
  const share = (count: number) => count / report.offered;
  return {
    peak,
    rate: report.offered / report.seconds,
    goodput: report.requests / report.seconds,
    // By CPU, since the application and the generator share a core, which may be full before the proxy's.
    goodputShare: peakNanoseconds / (nanoseconds / report.requests),
    coreShare: nanoseconds / 1e9 / report.seconds,
    admittedP99Ms: report.p99Ms,
    unavailableShare: share(report.unavailable),
    unsentShare: share(report.unsent),
    failedShare: share(report.errors),
    otherShare,
    ...(times.length > 0 ? { adminP50Ms: spreadOf(times).median, adminMaxMs: spreadOf(times).max } : {}),
  };
}

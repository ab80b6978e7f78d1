import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runWrk } from '../load/wrk.ts';
import { type Running, stop } from '../processes.ts';
import type { Peer } from '../proxies/peer.ts';
import { scenarios } from '../scenarios.ts';
import { openWay } from '../way.ts';
import { type Site, warmUpSeconds } from './site.ts';

/** What Envoy does of `100b` at most, in requests a second. Rejects without Envoy. */
export async function measureEnvoyPeak(site: Site, envoy: Peer | undefined): Promise<number> {
  const scenario = scenarios.find(({ name }) => name === '100b');
  if (envoy === undefined || scenario === undefined) {
    throw new Error("half of Envoy's peak is asked for, and Envoy is not among the peers");
  }
  const directory = join(site.directory, 'envoy-peak');
  mkdirSync(directory);
  const running: Running[] = [];
  try {
    const { ports } = await openWay({ ...site, directory }, scenario, envoy, site.cores.proxy, running);
    const load = { port: ports[0] ?? 0, scenario, directory: site.directory };
    await runWrk({ ...load, seconds: warmUpSeconds(site.seconds) });
    const report = await runWrk({ ...load, seconds: site.seconds });
    return report.requests / report.seconds;
  } finally {
    await Promise.all(running.map(stop));
  }
}

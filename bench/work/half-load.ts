import type { Figures } from '../figures.ts';
import { type PacedLoad, runPace } from '../load/pace.ts';
import { processesOf } from '../processes.ts';
import { watchCore } from '../readings/core.ts';
import { connections } from '../scenarios.ts';
import { type Job, warmUpSeconds } from './site.ts';

/**
 * Half of Envoy's peak, for every peer the same rate: what the proxy adds to the latency that the application alone
 * has at that rate. Rejects without Envoy, and when requests fail.
 */
export async function measureHalfLoad({ site, scenario, way }: Job): Promise<Figures> {
  const rate = (await site.envoyPeak()) / 2;
  const load: Omit<PacedLoad, 'port' | 'seconds'> = {
    host: scenario.host,
    path: scenario.path,
    rate,
    connections,
    waiting: 100_000, // None is given up: what had to wait is slow.
    bodyBytes: 0,
    keep: true,
  };
  const run = async (port: number, seconds: number) => {
    const report = await runPace(site.directory, { ...load, port, seconds });
    if (report.errors > 0) throw new Error(`${report.errors} of ${report.offered} requests failed`);
    return report;
  };
  const port = way.ports[0] ?? 0;
  await run(port, warmUpSeconds(site.seconds));
  const direct = await run(site.apps.http ?? 0, site.seconds);
  const use = watchCore(site.cores.proxy, processesOf(way.proxies));
  const through = await run(port, site.seconds);
  return {
    rate,
    directP99Ms: direct.p99Ms,
    throughP99Ms: through.p99Ms,
    addedP50Ms: through.p50Ms - direct.p50Ms,
    addedP99Ms: through.p99Ms - direct.p99Ms,
    otherShare: use().otherShare,
  };
}

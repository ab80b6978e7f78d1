import { setTimeout as sleep } from 'node:timers/promises';
import { type GeneratorName, generators, type Load } from '../load/generator.ts';
import { processesOf } from '../processes.ts';
import { watchCore } from '../readings/core.ts';
import { type Memory, readMemory } from '../readings/memory.ts';
import { type Job, warmUpSeconds } from './site.ts';

/** What the measured load showed. A "request" is one of the scenario's unit. */
export interface LoadSample {
  requests: number;
  requestsPerSecond: number;
  cpuMicrosPerRequest: number;
  /** Share of the proxy core that the proxies used, 0..1. */
  proxyShare: number;
  /** Share of the proxy core that somebody else used: noise, 0..1. */
  otherShare: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  errors: number;
  loaded: Memory;
}

async function memoryUnderLoad(generator: GeneratorName, load: Load, pids: readonly number[]) {
  const running = generators[generator]({ ...load, seconds: 1 });
  const [memory] = await Promise.all([sleep(700).then(() => readMemory(pids)), running]);
  return memory;
}

/** Saturates the proxies by a closed loop. Rejects when a generator fails or nothing was answered. */
export async function measureSaturation(job: Job, generator: GeneratorName): Promise<LoadSample> {
  const { site, scenario, way } = job;
  const run = generators[generator];
  const load = { port: way.ports[0] ?? 0, scenario, seconds: site.seconds, directory: site.directory };
  await run({ ...load, seconds: warmUpSeconds(site.seconds) });
  const pids = processesOf(way.proxies);
  const use = watchCore(site.cores.proxy, pids);
  const report = await run(load);
  const { nanoseconds, otherShare } = use();
  if (report.requests === 0) throw new Error('not one request was answered under load');
  return {
    requests: report.requests,
    requestsPerSecond: report.requests / report.seconds,
    cpuMicrosPerRequest: nanoseconds / 1e3 / report.requests,
    proxyShare: nanoseconds / 1e9 / report.seconds,
    otherShare,
    p50Ms: report.p50Ms,
    p99Ms: report.p99Ms,
    p999Ms: report.p999Ms,
    errors: report.errors,
    loaded: await memoryUnderLoad(generator, load, pids),
  };
}

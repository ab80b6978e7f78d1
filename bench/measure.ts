import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from './ask.ts';
import type { Cores } from './cores.ts';
import { type Load, runWrk } from './load/wrk.ts';
import { processesOf, type Running, stop } from './processes.ts';
import type { Peer } from './proxies/peer.ts';
import { readCoreTicks, readThreadTimes, timeBetween } from './readings/cpu.ts';
import { type Memory, readMemory } from './readings/memory.ts';
import { connections, host, type Scenario } from './scenarios.ts';
import { type Ground, openWay, type Way } from './way.ts';

/** Where the bench runs. */
export interface Site extends Ground {
  cores: Cores;
  /** Length of one measured load, in seconds. */
  seconds: number;
}

/** What the measured load showed. */
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

/** One round of one scenario with one peer. */
export interface Sample {
  /** From the spawn of the client's proxy to its first request answered, in ms. */
  coldStartMs: number;
  /** From the spawn of the client's proxy until it accepted a connection, in ms. */
  acceptMs: number;
  idle: Memory;
  load?: LoadSample;
}

/** A figure for wrong answers, or for mTLS that is none, would be worth nothing. */
async function checkWork(scenario: Scenario, { ports }: Way): Promise<void> {
  const answer = await ask(ports[0] ?? 0, scenario.path, scenario.requestBytes);
  if (answer.status !== 200 || answer.bytes !== scenario.responseBytes) {
    throw new Error(
      `answered ${answer.status} with ${answer.bytes} bytes instead of ${scenario.responseBytes}`,
    );
  }
  for (const [index, { accepts }] of scenario.hops.entries()) {
    if (accepts !== 'mtls') continue;
    const stranger = await ask(ports[index] ?? 0, scenario.path).catch(() => undefined);
    if (stranger?.status === 200) throw new Error('the inbound proxy served a caller without TLS');
  }
}

async function memoryUnderLoad(load: Load, pids: readonly number[]): Promise<Memory> {
  const running = runWrk(load);
  const [memory] = await Promise.all([sleep(700).then(() => readMemory(pids)), running]);
  return memory;
}

async function measureLoad(site: Site, scenario: Scenario, { proxies, ports }: Way): Promise<LoadSample> {
  const url = `http://127.0.0.1:${ports[0]}${scenario.path}`;
  const load = { url, host, connections, bodyBytes: scenario.requestBytes };
  await runWrk({ ...load, seconds: Math.max(1, Math.round(site.seconds * 0.4)) }); // warms up caches, pools and the JIT
  const pids = processesOf(proxies);
  const ticks = readCoreTicks(site.cores.proxy);
  const times = readThreadTimes(pids);
  const report = await runWrk({ ...load, seconds: site.seconds });
  const nanoseconds = timeBetween(times, readThreadTimes(pids));
  const ticksAfter = readCoreTicks(site.cores.proxy);
  if (report.requests === 0) throw new Error('not one request was answered under load');
  const proxyShare = nanoseconds / 1e9 / report.seconds;
  const busy = (ticksAfter.busy - ticks.busy) / (ticksAfter.total - ticks.total);
  return {
    requests: report.requests,
    requestsPerSecond: report.requests / report.seconds,
    cpuMicrosPerRequest: nanoseconds / 1e3 / report.requests,
    proxyShare,
    otherShare: Math.max(0, busy - proxyShare),
    p50Ms: report.p50Ms,
    p99Ms: report.p99Ms,
    p999Ms: report.p999Ms,
    errors: report.errors,
    loaded: await memoryUnderLoad({ ...load, seconds: 1 }, pids),
  };
}

/**
 * Starts a peer afresh, measures one round of a scenario, and ends it. Throws when it does not start, answers
 * wrongly, or ends under load.
 */
export async function measure(site: Site, scenario: Scenario, peer: Peer): Promise<Sample> {
  const directory = join(site.directory, 'round');
  mkdirSync(directory);
  const ground = { ...site, directory };
  const running: Running[] = [];
  try {
    const way = await openWay(ground, scenario, peer, site.cores.proxy, running);
    // Pages of the program's file that a second sidecar on the node shares are not one sidecar's cost.
    await openWay(ground, scenario, peer, site.cores.load, running);
    await checkWork(scenario, way);
    await sleep(1000);
    const idle = readMemory(processesOf(way.proxies));
    const { coldStartMs, acceptMs } = way;
    const started = { coldStartMs, acceptMs, idle };
    if (!scenario.load) return started;
    return { ...started, load: await measureLoad(site, scenario, way) };
  } finally {
    await Promise.all(running.map(stop));
    rmSync(directory, { recursive: true, force: true });
  }
}

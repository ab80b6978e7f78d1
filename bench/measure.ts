import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkAnswer } from './ask/answers.ts';
import { askHttp1 } from './ask/http1.ts';
import type { Figures } from './figures.ts';
import { processesOf, type Running, stop } from './processes.ts';
import type { Peer } from './proxies/peer.ts';
import { type Memory, readMemory } from './readings/memory.ts';
import type { Scenario } from './scenarios.ts';
import { expectation, openWay } from './way.ts';
import { measureHalfLoad } from './work/half-load.ts';
import { measureIdleConnections } from './work/idle-connections.ts';
import { measureOverload } from './work/overload.ts';
import { type LoadSample, measureSaturation } from './work/saturation.ts';
import type { Job, Site } from './work/site.ts';

/** One round of one scenario with one peer. */
export interface Sample {
  /** From the spawn of the client's proxy to its first request answered, in ms. */
  coldStartMs: number;
  /** From the spawn of the client's proxy until it accepted a connection, in ms. */
  acceptMs: number;
  idle: Memory;
  load?: LoadSample;
  figures?: Figures;
}

/** A figure for wrong answers, or for mTLS that is none, would be worth nothing. */
async function checkWork({ site, scenario, way }: Job): Promise<void> {
  const { ports } = way;
  await checkAnswer(scenario.protocol, expectation(scenario, ports[0] ?? 0, site.certificates));
  for (const [index, { accepts }] of scenario.hops.entries()) {
    if (accepts !== 'mtls') continue;
    const { host, path } = scenario;
    const stranger = await askHttp1({ port: ports[index] ?? 0, host, path }).catch(() => undefined);
    if (stranger?.status === 200) throw new Error('the inbound proxy served a caller without TLS');
  }
}

async function doWork(job: Job): Promise<Pick<Sample, 'load' | 'figures'>> {
  const { work } = job.scenario;
  switch (work.kind) {
    case 'start':
      return {};
    case 'saturate':
      return { load: await measureSaturation(job, work.generator) };
    case 'idle-connections':
      return { figures: await measureIdleConnections(job, work.count) };
    case 'half-load':
      return { figures: await measureHalfLoad(job) };
    case 'overload':
      return { figures: await measureOverload(job) };
  }
}

/**
 * Starts a peer afresh, measures one round of a scenario, and ends it. Throws when it does not start, answers
 * wrongly, or ends under load.
 */
export async function measure(site: Site, scenario: Scenario, peer: Peer): Promise<Sample> {
  const directory = join(site.directory, `round-${scenario.name}-${peer.name}`);
  mkdirSync(directory);
  const ground = { ...site, directory };
  const running: Running[] = [];
  try {
    const way = await openWay(ground, scenario, peer, site.cores.proxy, running);
    // Pages of the program's file that a second sidecar on the node shares are not one sidecar's cost.
    await openWay(ground, scenario, peer, site.cores.load, running);
    const job = { site, scenario, peer, way };
    await checkWork(job);
    await sleep(1000);
    const idle = readMemory(processesOf(way.proxies));
    const { coldStartMs, acceptMs } = way;
    return { coldStartMs, acceptMs, idle, ...(await doWork(job)) };
  } finally {
    await Promise.all(running.map(stop));
    rmSync(directory, { recursive: true, force: true });
  }
}

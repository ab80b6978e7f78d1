import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { untilAccepting, untilAnswered } from './ask.ts';
import type { Certificates } from './certificates.ts';
import { freePorts, type Running, start } from './processes.ts';
import type { Peer } from './proxies/peer.ts';
import type { Scenario } from './scenarios.ts';

/** What the proxies of a way stand on. */
export interface Ground {
  /** An empty directory for configurations and logs. */
  directory: string;
  certificates: Certificates;
  /** Ports of the application: plain, and by mTLS. */
  app: { plain: number; mtls: number };
}

/** The running proxies between client and application. */
export interface Way {
  proxies: Running[];
  /** The port of each hop, the client's first. */
  ports: number[];
  /** From the spawn of the client's proxy until it accepted a connection, in ms. */
  acceptMs: number;
  /** From the spawn of the client's proxy to its first request answered, in ms. */
  coldStartMs: number;
}

/**
 * Starts the proxies of a scenario on a core and waits until a request goes through them all. The last comes
 * first, so that the start of the client's proxy is measured with everything behind it up. Each is added to
 * `running` as soon as it is spawned, for the caller to stop. Rejects when one ends or gives no 200 within 15 s.
 */
export async function openWay(
  ground: Ground,
  scenario: Scenario,
  peer: Peer,
  core: number,
  running: Running[],
): Promise<Way> {
  const ports = await freePorts(scenario.hops.length);
  const proxies: Running[] = [];
  const failure = () => proxies.map((proxy) => proxy.failure()).find((text) => text !== undefined);
  let spawned = 0n;
  for (const [index, hop] of [...scenario.hops.entries()].reverse()) {
    const directory = mkdtempSync(join(ground.directory, `${peer.name}-`));
    const next = ports[index + 1] ?? ground.app[hop.speaks];
    const listen = ports[index] ?? 0;
    const program = peer.configure({ ...hop, listen, next, directory, certificates: ground.certificates });
    spawned = process.hrtime.bigint();
    const proxy = start({ name: peer.name, core, log: join(directory, 'log'), directory, ...program });
    proxies.push(proxy);
    running.push(proxy);
    if (index > 0) await untilAccepting(listen, failure);
  }
  const sinceSpawn = () => Number(process.hrtime.bigint() - spawned) / 1e6;
  const front = ports[0] ?? 0;
  await untilAccepting(front, failure);
  const acceptMs = sinceSpawn();
  await untilAnswered(front, '/bytes/100', failure);
  return { proxies, ports, acceptMs, coldStartMs: sinceSpawn() };
}

import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { checkAnswer, type Expectation } from './ask/answers.ts';
import { clientTls } from './ask/tls.ts';
import { until, untilAccepting } from './ask/until.ts';
import type { Applications, AppName } from './backend/applications.ts';
import type { Certificates } from './certificates.ts';
import { freePorts, type Running, start } from './processes.ts';
import type { Hop, Peer } from './proxies/peer.ts';
import type { Scenario } from './scenarios.ts';

/** What the proxies of a way stand on. */
export interface Ground {
  /** An empty directory for configurations and logs. */
  directory: string;
  certificates: Certificates;
  /** Ports of the applications. */
  apps: Applications;
}

/** The running proxies between client and application. */
export interface Way {
  proxies: Running[];
  /** The port of each hop, the client's first. */
  ports: number[];
  /** Port of the first proxy's admin interface, where it has one. */
  admin: number;
  /** From the spawn of the client's proxy until it accepted a connection, in ms. */
  acceptMs: number;
  /** From the spawn of the client's proxy to its first request answered, in ms. */
  coldStartMs: number;
}

/** The application that a peer's last proxy stands before. */
export function appOf({ protocol, hops }: Scenario, { http1Behind }: Pick<Peer, 'http1Behind'>): AppName {
  if (hops.at(-1)?.speaks === 'mtls') return 'mtls';
  if (protocol === 'tcp' || protocol === 'websocket') return 'stream';
  return protocol === 'http2' && http1Behind ? 'http' : protocol;
}

/** What is asked at the front of the way, as the client of the scenario would. */
export function expectation(scenario: Scenario, port: number, certificates: Certificates): Expectation {
  const { host, path, requestBytes, responseBytes } = scenario;
  const tls = scenario.hops[0]?.accepts === 'mtls' ? { tls: clientTls(certificates) } : {};
  return { port, host, path, bodyBytes: requestBytes, responseBytes, ...tls };
}

/** What is asked to see that it is up: little, whatever the load will ask. */
function firstQuestion(scenario: Scenario, port: number, certificates: Certificates): Expectation {
  const path = scenario.routes > 0 ? scenario.path : '/bytes/100';
  return { ...expectation(scenario, port, certificates), path, bodyBytes: 0, responseBytes: 100 };
}

/**
 * Starts the proxies of a scenario on a core and waits until a request goes through them all. The last comes
 * first, so that the start of the client's proxy is measured with everything behind it up. Each is added to
 * `running` as soon as it is spawned, for the caller to stop. Rejects when one ends or gives no answer within 15 s.
 */
export async function openWay(
  ground: Ground,
  scenario: Scenario,
  peer: Peer,
  core: number,
  running: Running[],
): Promise<Way> {
  const app = ground.apps[appOf(scenario, peer)];
  if (app === undefined) throw new Error(`the application ${appOf(scenario, peer)} does not run`);
  const ports = await freePorts(scenario.hops.length * 2);
  const listeners = ports.slice(0, scenario.hops.length);
  const admins = ports.slice(scenario.hops.length);
  const proxies: Running[] = [];
  const failure = () => proxies.map((proxy) => proxy.failure()).find((text) => text !== undefined);
  let spawned = 0n;
  for (const [index, { accepts, speaks }] of [...scenario.hops.entries()].reverse()) {
    const directory = mkdtempSync(join(ground.directory, `${peer.name}-`));
    const hop: Hop = {
      protocol: scenario.protocol,
      listen: listeners[index] ?? 0,
      accepts,
      next: listeners[index + 1] ?? app,
      speaks,
      admin: admins[index] ?? 0,
      routes: scenario.routes,
      clients: clientsOf(scenario),
      directory,
      certificates: ground.certificates,
    };
    const program = peer.configure(hop);
    spawned = process.hrtime.bigint();
    const proxy = start({ name: peer.name, core, log: join(directory, 'log'), directory, ...program });
    proxies.push(proxy);
    running.push(proxy);
    if (index > 0) await untilAccepting(hop.listen, failure);
  }
  const sinceSpawn = () => Number(process.hrtime.bigint() - spawned) / 1e6;
  const front = listeners[0] ?? 0;
  await untilAccepting(front, failure);
  const acceptMs = sinceSpawn();
  const question = firstQuestion(scenario, front, ground.certificates);
  await until(() => checkAnswer(scenario.protocol, question), `port ${front} gave no right answer`, failure);
  return { proxies, ports: listeners, admin: admins[0] ?? 0, acceptMs, coldStartMs: sinceSpawn() };
}

function clientsOf({ work, connections }: Scenario): number {
  return work.kind === 'idle-connections' ? work.count : connections;
}

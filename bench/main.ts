import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkAims } from './aims.ts';
import { type AppName, startApplications } from './backend/applications.ts';
import { type Cell, summarize } from './cell.ts';
import { issueCertificates } from './certificates.ts';
import { type Cores, chooseCores, pinSelf } from './cores.ts';
import { measure } from './measure.ts';
import { type BenchOptions, readOptions, UsageProblem, usage } from './options.ts';
import { findPeers, MissingProgram, type Peers, peerNames } from './peers.ts';
import { killEverything } from './processes.ts';
import type { Peer } from './proxies/peer.ts';
import { type Circumstances, type Run, reportPage, reportTable } from './report.ts';
import { type DecisionReport, measureDecision } from './routing/decision.ts';
import { connections, type Scenario, scenarios } from './scenarios.ts';
import { soak } from './soak.ts';
import { appOf } from './way.ts';
import { measureEnvoyPeak } from './work/envoy-peak.ts';
import type { Site } from './work/site.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Starts cost little, and scatter: so many of them, unless one round was asked for. */
const startRounds = 7;

function circumstances(options: BenchOptions, cores: Cores, { found }: Peers): Circumstances {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim();
  const changed = git('status', '--porcelain', '--', '.', ':!bench/results') === '' ? '' : ' with changes';
  return {
    date: new Date().toISOString(),
    commit: `${git('rev-parse', '--short', '--verify', '-q', 'HEAD') || 'none'}${changed}`,
    processor: /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown',
    kernel: release(),
    proxyCore: cores.proxy,
    loadCore: cores.load,
    rounds: options.rounds,
    seconds: options.seconds,
    connections,
    versions: found.map(({ version }) => version),
  };
}

async function measureInto(
  cell: Cell,
  round: number,
  site: Site,
  scenario: Scenario,
  peer: Peer,
): Promise<void> {
  try {
    const sample = await measure(site, scenario, peer);
    cell.rounds[round] = sample;
    const { load, figures = {}, coldStartMs } = sample;
    const cpu = load && `, ${load.cpuMicrosPerRequest.toFixed(1)} us/${scenario.unit}, p99 ${load.p99Ms} ms`;
    const others = Object.entries(figures).map(([name, value]) => `, ${name} ${value.toPrecision(3)}`);
    console.error(
      `bench: round ${round + 1}, ${scenario.name}, ${peer.name}: up in ${coldStartMs.toFixed(0)} ms${cpu ?? ''}${others.join('')}`,
    );
  } catch (error) {
    cell.rounds[round] = undefined;
    cell.failures.push((error as Error).message);
    console.error(
      `bench: round ${round + 1}, ${scenario.name}, ${peer.name} failed: ${(error as Error).message}`,
    );
  }
}

/** Measures a round of a scenario with every peer; a different one comes first in each round. */
async function measureRound(
  round: number,
  site: Site,
  scenario: Scenario,
  peers: readonly Peer[],
  cells: Cell[],
) {
  const shift = round % peers.length;
  for (const peer of [...peers.slice(shift), ...peers.slice(0, shift)]) {
    const cell = cells.find((one) => one.scenario === scenario.name && one.peer === peer.name);
    if (cell !== undefined) await measureInto(cell, round, site, scenario, peer);
  }
}

async function measureAll(options: BenchOptions, site: Site, peers: readonly Peer[]): Promise<Cell[]> {
  const chosen = scenarios.filter(({ name }) => options.scenarios.includes(name));
  const cells = chosen.flatMap((scenario) =>
    peers.map((peer): Cell => ({ scenario: scenario.name, peer: peer.name, rounds: [], failures: [] })),
  );
  const roundsOf = ({ work, rounds = options.rounds }: Scenario) =>
    work.kind === 'start' && options.rounds > 1 ? startRounds : Math.min(options.rounds, rounds);
  for (let round = 0; round < Math.max(options.rounds, startRounds); round++) {
    for (const scenario of chosen) {
      if (round < roundsOf(scenario)) await measureRound(round, site, scenario, peers, cells);
    }
  }
  return cells;
}

function write(run: Run, directory: string): void {
  mkdirSync(directory, { recursive: true });
  const { missing, ...rest } = run;
  const json = JSON.stringify({ ...rest, missing: Object.fromEntries(missing) }, null, 2);
  writeFileSync(join(directory, 'latest.json'), `${json}\n`);
  writeFileSync(join(directory, 'latest.md'), reportPage(run));
  console.error(`bench: wrote ${join(directory, 'latest.md')} and latest.json`);
}

/** The applications that the chosen scenarios and peers have behind them. */
function appsOf(options: BenchOptions, peers: readonly Peer[]): Set<AppName> {
  if (options.soakSeconds !== undefined) return new Set(['http']);
  const chosen = scenarios.filter(({ name }) => options.scenarios.includes(name));
  return new Set(chosen.flatMap((scenario) => peers.map((peer) => appOf(scenario, peer))));
}

async function prepare(options: BenchOptions, directory: string, peers: Peers, cores: Cores): Promise<Site> {
  const certificates = issueCertificates(directory);
  const ground = { nginx: peers.nginx, directory, core: cores.load, certificates };
  const apps = await startApplications(appsOf(options, peers.found), ground, (message) =>
    console.error(`bench: ${message}`),
  );
  let peak: Promise<number> | undefined;
  const site: Site = {
    directory,
    cores,
    certificates,
    apps,
    seconds: options.seconds,
    envoyPeak: () => {
      peak ??= measureEnvoyPeak(
        site,
        peers.found.find(({ name }) => name === 'envoy'),
      );
      return peak;
    },
  };
  return site;
}

/** Tulle's route decision alone, where its scenario with this many routes was measured too. */
function decisions(options: BenchOptions, peers: readonly Peer[]): DecisionReport[] {
  if (!peers.some(({ name }) => name === 'tulle')) return [];
  return scenarios
    .filter(({ name, routes }) => routes > 0 && options.scenarios.includes(name))
    .map(({ routes }) => measureDecision(routes));
}

async function bench(options: BenchOptions, directory: string): Promise<boolean> {
  const cores = chooseCores();
  const peers = findPeers(options.peers);
  pinSelf(cores.load);
  const site = await prepare(options, directory, peers, cores);
  if (options.soakSeconds !== undefined) {
    return soak(site, peers.found, options.soakSeconds, join(root, '.cache/bench'));
  }
  const cells = await measureAll(options, site, peers.found);
  const summaries = cells.flatMap((cell) => summarize(cell, cells) ?? []);
  const decided = decisions(options, peers.found);
  const run: Run = {
    circumstances: circumstances(options, cores, peers),
    scenarios: scenarios.filter(({ name }) => options.scenarios.includes(name)),
    cells,
    summaries,
    decisions: decided,
    aims: checkAims(summaries, decided),
    missing: peers.missing,
  };
  console.log(reportTable(run));
  // Only a whole run replaces the results that the repository shows.
  write(run, join(root, options.whole && peers.missing.size === 0 ? 'bench/results' : '.cache/bench'));
  return peers.missing.size === 0 && cells.every(({ failures }) => failures.length === 0);
}

async function main(): Promise<void> {
  const options = readOptions(
    process.argv.slice(2),
    scenarios.map(({ name }) => name),
    peerNames,
  );
  if (options === undefined) return console.log(usage);
  const directory = mkdtempSync(join(tmpdir(), 'tulle-bench-'));
  process.on('exit', () => {
    killEverything();
    rmSync(directory, { recursive: true, force: true });
  });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => process.exit(code));
  }
  const clean = await bench(options, directory);
  process.exit(clean ? 0 : 1);
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageProblem) console.error(`bench: ${error.message}\n\n${usage}`);
  else if (error instanceof MissingProgram) console.error(`bench: ${error.message}`);
  else console.error(error);
  process.exit(2);
}

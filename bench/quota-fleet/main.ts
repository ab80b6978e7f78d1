import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { runCommand } from '../../test/fixture/command.ts';
import { type DelayingProxy, delayingProxy } from '../../test/fixture/delaying-proxy.ts';
import { freePort } from '../../test/fixture/free-port.ts';
import { Fleet, quantile } from './fleet.ts';

/**
 * `node bench/quota-fleet/main.ts [--sidecars 50] [--planes 3] [--rate 25000] [--seconds 5]`: the quota part of so many
 * sidecars in this process, control planes and Redis in processes of their own; bench/results/quota-fleet.md and .json.
 * Needs a machine that does nothing else: who has no CPU for 30 ms has an outage of Redis.
 */
const { values } = parseArgs({
  options: {
    sidecars: { type: 'string', default: '50' },
    planes: { type: 'string', default: '3' },
    rate: { type: 'string', default: '25000' },
    seconds: { type: 'string', default: '5' },
    out: { type: 'string', default: join(import.meta.dirname, '../results') },
  },
});
const count = Number(values.sidecars);
const rate = Number(values.rate);
const phaseMs = Number(values.seconds) * 1000;
/** What is in this part of the time after an outage counts as back. */
const BACK_WINDOW_MS = 200;
const BACK_SHARE = 0.8;

interface Row {
  readonly phase: string;
  readonly utilisation: number;
  /** Beyond burst + rate * T in the worst window up to here. */
  readonly excess: number;
  readonly waitMaxMs: number;
  readonly decisionP99Us: number;
  readonly commandsPerAdmitted: number;
  /** How far the sidecar that got least, and the one that got most, are from the mean; of equal demand only. */
  readonly unfairness?: number;
  /** From the end of the fault until 80 % of the quota were admitted again. */
  readonly recoveryMs?: number;
}

const dir = mkdtempSync(join(tmpdir(), 'tulle-quotas-'));
const port = await freePort();
let redis = startRedis(port);
const proxy = await delayingProxy(port);
const fleet = await startFleet(proxy);
const rows: Row[] = [];
let commandsSoFar = 0;
const equal = (demand: number) => () => (demand * rate) / count;

try {
  await fleet.run(3_000, equal(1.2));
  await phase('steady, equal, 120 % of the quota', equal(1.2), { fair: true });
  await phase('steady, equal, 80 % of the quota', equal(0.8));
  // The first sidecar has 1/H of all, the second half of that ...
  const harmonic = Array.from({ length: count }, (_, index) => 1 / (index + 1)).reduce((a, b) => a + b, 0);
  await phase('skewed (Zipf), 150 %', (index) => (1.5 * rate) / harmonic / (index + 1));
  await phase('bursts: all for 200 ms of each second', (_, ms) => (ms % 1000 < 200 ? (5 * rate) / count : 0));
  await phase('a hot spot that moves each second, 120 %', (index, ms) => {
    const hot = Math.floor(ms / 1000) % count === index;
    return hot ? 0.96 * rate : (0.24 * rate) / (count - 1);
  });
  await fault('Redis killed, back after 1 s, empty', async () => {
    redis.kill('SIGKILL');
    await pause(1_000);
    redis = startRedis(port);
  });
  await fault('Redis slow by 500 ms for 2 s', async () => {
    proxy.delayMs = 250; // each way
    await pause(2_000);
    proxy.delayMs = 0;
  });
  await fault('the network to Redis cut for 2 s', async () => {
    proxy.delayMs = Number.POSITIVE_INFINITY;
    await pause(2_000);
    proxy.delayMs = 0;
  });
  await fault('a control plane killed', async () => {
    fleet.controlPlanes[0]?.kill('SIGKILL');
  });
  report();
} finally {
  await fleet.close();
  proxy.close();
  redis.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
}

async function startFleet({ port: behind }: DelayingProxy): Promise<Fleet> {
  await untilRedis(port);
  return Fleet.start({
    dir,
    sidecars: count,
    controlPlanes: Number(values.planes),
    limit: `${rate}/s`,
    store: `redis://127.0.0.1:${behind}`,
  });
}

async function phase(
  name: string,
  demand: (index: number, ms: number) => number,
  { fair = false } = {},
): Promise<void> {
  const before = begin();
  const { fromMs, toMs } = await fleet.run(phaseMs, demand);
  rows.push({
    ...(await finish(name, before, fromMs, toMs)),
    ...(fair && { unfairness: unfairness(before.each) }),
  });
}

/** Harm is done one second after the beginning. */
async function fault(name: string, harm: () => Promise<void>): Promise<void> {
  const before = begin();
  let overMs = 0;
  const { fromMs, toMs } = await fleet.run(phaseMs + 5_000, equal(1.2), async () => {
    await pause(1_000);
    await harm();
    overMs = fleet.nowMs;
  });
  const row = await finish(name, before, fromMs, toMs);
  rows.push({ ...row, recoveryMs: recoveryAfter(overMs, toMs) });
}

interface Before {
  readonly each: readonly number[];
  readonly total: number;
  readonly commands: number;
}

function begin(): Before {
  fleet.findings.waitedMs.length = 0;
  fleet.findings.decidedUs.length = 0;
  const each = fleet.sidecars.map(({ admitted }) => admitted);
  return { each, total: fleet.findings.admitted.total, commands: commandsSoFar };
}

async function finish(name: string, before: Before, fromMs: number, toMs: number): Promise<Row> {
  const now = await commands();
  // A Redis that began anew counts anew.
  const sent = now >= before.commands ? now - before.commands : now;
  commandsSoFar = now;
  const { findings } = fleet;
  const row: Row = {
    phase: name,
    utilisation: fleet.utilisation(fromMs, toMs),
    excess: fleet.excess,
    waitMaxMs: quantile(findings.waitedMs, 1),
    decisionP99Us: quantile(findings.decidedUs, 0.99),
    commandsPerAdmitted: sent / Math.max(1, findings.admitted.total - before.total),
  };
  console.error(JSON.stringify(row));
  return row;
}

function unfairness(before: readonly number[]): number {
  const got = fleet.sidecars.map(({ admitted }, index) => admitted - (before[index] ?? 0));
  const mean = got.reduce((sum, one) => sum + one, 0) / got.length;
  return Math.max(...got.map((one) => Math.abs(one - mean) / mean));
}

function recoveryAfter(overMs: number, toMs: number): number {
  for (let ms = overMs; ms + BACK_WINDOW_MS < toMs; ms += 20)
    if (fleet.utilisation(ms, ms + BACK_WINDOW_MS) >= BACK_SHARE) return ms - overMs;
  return Number.POSITIVE_INFINITY;
}

/** What clients sent; scripts count as one. */
async function commands(): Promise<number> {
  const { out } = await runCommand('redis-cli', ['-p', String(port), 'INFO', 'commandstats']);
  return [...out.matchAll(/^cmdstat_(?:evalsha|eval|publish):calls=(\d+)/gm)].reduce(
    (sum, [, calls]) => sum + Number(calls),
    0,
  );
}

function report(): void {
  const figures = {
    date: new Date().toISOString(),
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    load: loadavg()[0],
    sidecars: count,
    controlPlanes: Number(values.planes),
    quota: `${rate}/s`,
    rows,
  };
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  const cells = rows.map((row) =>
    [
      row.phase,
      percent(row.utilisation),
      row.excess <= 0 ? 'never' : row.excess.toFixed(0),
      `${row.waitMaxMs.toFixed(1)} ms`,
      `${row.decisionP99Us.toFixed(1)} us`,
      row.commandsPerAdmitted.toFixed(4),
      row.unfairness === undefined ? '' : percent(row.unfairness),
      row.recoveryMs === undefined ? '' : `${row.recoveryMs.toFixed(0)} ms`,
    ].join(' | '),
  );
  const page = `# Quotas on real Redis

\`node bench/quota-fleet/main.ts\`, ${figures.date}: ${count} sidecars (the quota part of each, in one process), ${values.planes} control
planes and one Redis; the quota is ${rate}/s. ${figures.cores} cores of ${figures.processor}; the load of the machine was ${figures.load?.toFixed(1)}:
above the number of cores it is others that are measured too.

| Phase | Used of the quota | Exceeded by | Longest wait | Decision p99 | Redis commands a request | Farthest from a fair share | Back after |
| --- | --- | --- | --- | --- | --- | --- | --- |
${cells.map((line) => `| ${line} |`).join('\n')}
`;
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, 'quota-fleet.json'), `${JSON.stringify(figures, null, 2)}\n`);
  writeFileSync(join(values.out, 'quota-fleet.md'), page);
  console.log(page);
}

function startRedis(at: number): ChildProcess {
  return spawn('redis-server', ['--port', String(at), '--bind', '127.0.0.1', '--save', '', '--dir', dir], {
    stdio: 'ignore',
  });
}

async function untilRedis(at: number): Promise<void> {
  while ((await runCommand('redis-cli', ['-p', String(at), 'PING'])).out.trim() !== 'PONG') await pause(50);
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Cleanups } from '../../test/fixture/cleanups.ts';
import { delayingProxy } from '../../test/fixture/delaying-proxy.ts';
import { redisProcess } from '../../test/fixture/redis.ts';
import { redisWithSentinel } from '../../test/fixture/redis-topologies.ts';
import { until } from '../../test/fixture/wait.ts';
import { measureChanges } from './changes.ts';
import { apart } from './clocks.ts';
import type { Demand } from './demand.ts';
import { Fleet, type FleetOptions } from './fleet.ts';
import { pageOf } from './page.ts';
import { RedisHost } from './redis-host.ts';
import { type Row, recoveryAfter, rowOf, sum, unfairness } from './row.ts';

/**
 * `node bench/quota-fleet/main.ts [--sidecars 50] [--planes 3] [--rate 50000] [--seconds 4] [--only demand,faults,...]`:
 * the quota part of so many sidecars, in processes of ten, control planes and Redis, the latter on a host of its own (a
 * network namespace, so it needs root); writes bench/results/quota-fleet.md and .json, of `--only` none. Needs a machine
 * that does nothing else: who has no CPU for 25 ms has an outage of Redis.
 */
const { values } = parseArgs({
  options: {
    sidecars: { type: 'string', default: '50' },
    planes: { type: 'string', default: '3' },
    rate: { type: 'string', default: '50000' },
    seconds: { type: 'string', default: '4' },
    only: { type: 'string', default: '' },
    out: { type: 'string', default: join(import.meta.dirname, '../results') },
  },
});
const sidecars = Number(values.sidecars);
const controlPlanes = Number(values.planes);
const rate = Number(values.rate);
const lengthMs = Number(values.seconds) * 1000;
const PER_WORKER = 10;
/** A burst that was saved up is used up by so much, in so long: what a phase admits came back in it. */
const DRAIN: Demand = { shape: 'equal', perSecond: 3 * rate };
const DRAIN_MS = 800;
const SETTLE_MS = 700;
/** Harm is done so long after the beginning of a phase, which is so much longer. */
const HARM_MS = 1_000;
const FAULT_MS = 2_000;
const AFTER_FAULT_MS = 4_000;

const rows: Row[] = [];
const dir = mkdtempSync(join(tmpdir(), 'tulle-quotas-'));
const equal = (share: number): Demand => ({ shape: 'equal', perSecond: share * rate });
/** What is running now, the last first to be closed. */
const open: { close(): Promise<void> }[] = [];
const cleanups: (() => void | Promise<void>)[] = [];
const context: Cleanups = { after: (cleanup) => void cleanups.push(cleanup) };

/** Several fleets, one after the other, each for some phases. */
const SETTINGS: Readonly<Record<string, () => Promise<void>>> = {
  demand: () =>
    onHost(async (fleet, redis) => {
      await phase(fleet, redis, 'steady, equal, 120 % of the quota', equal(1.2), { fair: true });
      await phase(fleet, redis, 'steady, equal, 100 % of the quota', equal(1));
      await phase(fleet, redis, 'steady, equal, 80 % of the quota', equal(0.8));
      await phase(fleet, redis, 'skewed (Zipf), 150 %', { shape: 'zipf', perSecond: 1.5 * rate });
      await phase(fleet, redis, 'bursts: all for 200 ms of each second', {
        shape: 'bursts',
        perSecond: rate,
      });
      const moving: Demand = { shape: 'hot-spot', perSecond: 1.2 * rate };
      await phase(fleet, redis, 'a hot spot that moves each second, 120 %', moving);
    }),

  windows: async () => {
    for (const limit of [`window ${rate}/s`, `estimate ${rate}/s`])
      await onHost(
        async (fleet, redis) => {
          await phase(fleet, redis, `${limit}: steady, equal, 120 %`, equal(1.2), { fair: true });
          await phase(fleet, redis, `${limit}: steady, equal, 80 %`, equal(0.8));
        },
        { limit },
      );
  },

  faults: () =>
    onHost(async (fleet, redis) => {
      await fault(fleet, 'Redis killed, back after 1 s, empty', async () => {
        await redis.kill();
        await pause(1_000);
        redis.restart();
      });
      await fault(fleet, 'the network to Redis cut for 2 s (packets dropped in its namespace)', async () => {
        await redis.cut();
        await pause(FAULT_MS);
        await redis.heal();
      });
      await fault(fleet, 'a control plane killed', async () => {
        fleet.controlPlanes[0]?.kill('SIGKILL');
      });
    }),

  async slow() {
    const redis = await redisProcess(context);
    const proxy = await delayingProxy(redis.port);
    context.after(() => proxy.close());
    await withFleet({ store: `redis://127.0.0.1:${proxy.port}` }, (fleet) =>
      fault(fleet, 'Redis slow by 500 ms for 2 s', async () => {
        proxy.delayMs = 250; // each way
        await pause(FAULT_MS);
        proxy.delayMs = 0;
      }),
    );
  },

  async failover() {
    const { master, replica, sentinel } = await redisWithSentinel(context);
    await withFleet({ store: `redis+sentinel://127.0.0.1:${sentinel.port}/main` }, (fleet) =>
      fault(fleet, 'Redis killed, Sentinel makes a replica the master', async () => {
        await master.kill();
        await until('a new master', async () => (await replica.ask('ROLE')).startsWith('master'));
      }),
    );
  },

  clocks: () =>
    onHost(
      async (fleet, redis) => {
        const name = 'clocks a minute apart, of control planes and sidecars, 120 %';
        await phase(fleet, redis, name, equal(1.2), { fair: true });
        add(await measureChanges(fleet, redis.address, { rate, controlPlanes, demand: equal(1.2) }));
      },
      { env: apart(dir) },
    ),
};

async function onHost(
  body: (fleet: Fleet, redis: RedisHost) => Promise<void>,
  options: Partial<FleetOptions> = {},
): Promise<void> {
  const redis = await RedisHost.start(dir);
  open.push(redis);
  await withFleet({ store: `redis://${redis.address}`, ...options }, (fleet) => body(fleet, redis));
  await closeLast();
}

async function withFleet(
  options: Partial<FleetOptions> & Pick<FleetOptions, 'store'>,
  body: (fleet: Fleet) => Promise<void>,
): Promise<void> {
  const own = mkdtempSync(join(dir, 'fleet-'));
  const workers = Math.ceil(sidecars / PER_WORKER);
  const usual = { dir: own, sidecars, workers, controlPlanes, limit: `${rate}/s` };
  const fleet = await Fleet.start({ ...usual, ...options });
  open.push(fleet);
  // A store without memory gives nothing at first, and of an estimate nothing for two more windows.
  await fleet.run(3_500, equal(1.2));
  await body(fleet);
  await closeLast();
}

async function closeLast(): Promise<void> {
  await open.pop()?.close();
}

/** Nothing is left behind, also when it ends before its time. */
async function cleanUp(): Promise<void> {
  while (open.length > 0) await closeLast().catch(console.error);
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  rmSync(dir, { recursive: true, force: true });
}

async function phase(
  fleet: Fleet,
  redis: RedisHost,
  name: string,
  demand: Demand,
  { fair = false, settleMs = SETTLE_MS } = {},
): Promise<void> {
  await fleet.run(DRAIN_MS, DRAIN);
  await fleet.run(settleMs, demand);
  await redis.ask('CONFIG', 'RESETSTAT');
  const run = await fleet.run(lengthMs, demand);
  const commandsPerAdmitted = (await commands(redis)) / sum(run.each);
  add({ ...rowOf(name, fleet, run), commandsPerAdmitted, ...(fair && { unfairness: unfairness(run) }) });
}

async function fault(fleet: Fleet, name: string, harm: () => Promise<void>): Promise<void> {
  await fleet.run(DRAIN_MS, DRAIN);
  let overMs = 0;
  const run = await fleet.run(HARM_MS + FAULT_MS + AFTER_FAULT_MS, equal(1.2), async () => {
    await pause(HARM_MS);
    await harm();
    overMs = fleet.nowMs;
  });
  add({ ...rowOf(name, fleet, run), recoveryMs: recoveryAfter(fleet, overMs, run.toMs) });
}

function add(row: Row): void {
  rows.push(row);
  console.error(JSON.stringify(row));
}

/** What clients sent; scripts count as one. */
async function commands(redis: RedisHost): Promise<number> {
  const out = await redis.ask('INFO', 'commandstats');
  const calls = [...out.matchAll(/^cmdstat_(?:evalsha|eval|publish):calls=(\d+)/gm)];
  return sum(calls.map(([, count]) => Number(count)));
}

function report(): void {
  const figures = {
    date: new Date().toISOString(),
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    load: loadavg()[0] ?? 0,
    sidecars,
    controlPlanes,
    quota: `${rate}/s`,
    rows,
  };
  const page = pageOf(figures);
  console.log(page);
  if (values.only !== '') return;
  mkdirSync(values.out, { recursive: true });
  writeFileSync(join(values.out, 'quota-fleet.json'), `${JSON.stringify(figures, null, 2)}\n`);
  writeFileSync(join(values.out, 'quota-fleet.md'), page);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
try {
  for (const name of values.only === '' ? Object.keys(SETTINGS) : values.only.split(','))
    await SETTINGS[name]?.();
  report();
} finally {
  await cleanUp();
}

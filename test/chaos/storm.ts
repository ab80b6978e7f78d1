import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { residentBytes } from '../fixture/process-memory.ts';
import { until } from '../fixture/wait.ts';
import {
  type Arrival,
  type Evidence,
  type Interval,
  type KnownQuota,
  nowMs,
  type Strike,
  type Violation,
} from './evidence.ts';
import { type Fault, pause } from './faults/fault.ts';
import { INVARIANTS } from './invariants/all.ts';
import { memoryLimit } from './invariants/memory-bounded.ts';
import { ChaosMesh, RECOVERY_MS } from './mesh.ts';
import { type Aim, groupOf, type Planned, planStorm } from './schedule.ts';
import { SERVICES, type StormQuota, stormQuota } from './topology.ts';
import { Traffic } from './traffic.ts';

export interface StormOptions {
  readonly seed: number;
  /** How long faults come. */
  readonly stormMs: number;
  readonly faults: readonly Fault[];
  readonly leafLifeMs: number;
  /** Of the usual load of about 200 requests a second. */
  readonly loadShare: number;
  /** A small disk for logs and state; needs root. */
  readonly withDisk: boolean;
  say(line: string): void;
}

export interface StormResult {
  readonly seed: number;
  readonly plan: readonly Planned[];
  readonly violations: readonly Violation[];
  readonly evidence: Evidence;
  readonly mesh: ChaosMesh;
}

/** Successes in a row, of each kind of request, that show that all is well. */
const WELL = 10;
const STALL_MS = 300;
const TICK_MS = 500;
/** After the last fault, with what quotas need to be drawn again. */
const QUIET_MS = 8_000;

/** Runs one storm on a mesh of its own, which has ended when this resolves; its folder is still there. */
export async function runStorm(options: StormOptions): Promise<StormResult> {
  const { seed, stormMs, faults, leafLifeMs, loadShare, withDisk, say } = options;
  const mesh = await ChaosMesh.start({ leafLifeMs, withDisk, quota: stormQuota(loadShare) });
  try {
    const plan = planStorm(seed, faults, mesh.targets, stormMs);
    say(`seed ${seed}: ${plan.length} faults in ${stormMs / 1000} s`);
    for (const { atMs, fault, target, lastsMs } of plan)
      say(`  +${atMs} ms ${fault} of ${target} for ${lastsMs} ms`);
    const evidence = await observe(mesh, plan, options);
    const violations = INVARIANTS.flatMap((invariant) => invariant.check(evidence));
    return { seed, plan, violations, evidence, mesh };
  } finally {
    await mesh.stop();
  }
}

async function observe(mesh: ChaosMesh, plan: readonly Planned[], options: StormOptions): Promise<Evidence> {
  const traffic = new Traffic(mesh, options.loadShare);
  const stalls = watchStalls();
  const unrecovered: string[] = [];
  const strikes: Strike[] = [];
  traffic.start();
  try {
    await untilWell(traffic);
    const before = memoryOf(mesh);
    const beganMs = nowMs();
    options.say('  all is well; the storm begins');
    await strikeAll(mesh, plan, options, strikes, unrecovered);
    await untilWell(traffic).catch((error: Error) => unrecovered.push(error.message));
    await mesh.untilAllReady().catch((error: Error) => unrecovered.push(error.message));
    const memory = await settledMemory(mesh, before);
    // What a quota lets in is measured over a time in which nothing is ill.
    await pause(QUIET_MS);
    const seen = await read(mesh, traffic);
    return {
      ...seen,
      // What was sent while the mesh still started has not been promised anything.
      requests: seen.requests.filter(({ startMs }) => startMs >= beganMs),
      memory,
      stalls: stalls.stop(),
      unrecovered,
      strikes,
      quotas: quotasOf(stormQuota(options.loadShare), beganMs),
    };
  } finally {
    stalls.stop();
    await traffic.stop();
  }
}

/** Faults of these aims come in the group of a service. */
const OF_ENDPOINTS: ReadonlySet<Aim> = new Set<Aim>(['endpoint', 'service', 'names']);

/** Each fault at its time; those of one group one after the other, also when healing takes longer than planned. */
async function strikeAll(
  mesh: ChaosMesh,
  plan: readonly Planned[],
  { faults, say }: StormOptions,
  strikes: Strike[],
  unrecovered: string[],
): Promise<void> {
  const groups = new Map<string, Promise<void>>();
  const startMs = performance.now();
  for (const { atMs, fault: name, target, lastsMs } of plan) {
    const fault = faults.find((one) => one.name === name);
    if (fault === undefined) throw new Error(`there is no fault ${name}`);
    await pause(Math.max(0, startMs + atMs - performance.now()));
    const group = groupOf(fault.aim, target);
    const strike = async (): Promise<void> => {
      // A healthy way is one that callers use: endpoints that were hit before are ejected for a while.
      if (OF_ENDPOINTS.has(fault.aim))
        await mesh.untilTaken(group).catch((error: Error) => unrecovered.push(error.message));
      const fromMs = nowMs();
      const sign = await fault.strike(mesh, target, lastsMs).catch((error: Error) => {
        unrecovered.push(`${name} of ${target}: ${error.message}`);
        return '';
      });
      const toMs = nowMs();
      strikes.push({ fault: name, aim: fault.aim, target, sign, fromMs, toMs });
      say(
        `  ${name} of ${target} is over after ${Math.round(toMs - fromMs)} ms: ${sign || 'NOTHING FELT IT'}`,
      );
    };
    groups.set(group, (groups.get(group) ?? Promise.resolve()).then(strike));
  }
  await Promise.all(groups.values());
}

/** Waits until requests of each kind succeed one after the other. */
async function untilWell(traffic: Traffic): Promise<void> {
  for (const kind of traffic.kinds) traffic.streak.set(kind, 0);
  await until(
    'requests of each kind to succeed',
    () => traffic.kinds.every((kind) => (traffic.streak.get(kind) ?? 0) >= WELL),
    RECOVERY_MS,
  ).catch(() => {
    const ill = traffic.kinds.filter((kind) => (traffic.streak.get(kind) ?? 0) < WELL);
    throw new Error(`not ${WELL} requests in a row succeed of: ${ill.join(', ')}`);
  });
}

function memoryOf(mesh: ChaosMesh): Map<string, number> {
  const parts = [...mesh.sidecars, ...mesh.controlPlanes.map(({ part }) => part)];
  return new Map(parts.map(({ name, pid }) => [name, residentBytes(pid)]));
}

/** Memory may come back only when a collector has run: the last reading is taken. */
async function settledMemory(
  mesh: ChaosMesh,
  before: ReadonlyMap<string, number>,
): Promise<Evidence['memory']> {
  let after = new Map<string, number>();
  const isSmall = (): boolean => {
    after = memoryOf(mesh);
    return [...after].every(([part, bytes]) => bytes <= memoryLimit(before.get(part) ?? 0));
  };
  await until('memory to be as before', isSmall, RECOVERY_MS).catch(() => {});
  return [...after].map(([part, bytes]) => ({ part, before: before.get(part) ?? 0, after: bytes }));
}

async function read(
  mesh: ChaosMesh,
  traffic: Traffic,
): Promise<Omit<Evidence, 'memory' | 'stalls' | 'unrecovered' | 'strikes' | 'quotas'>> {
  await traffic.stop();
  return {
    requests: traffic.requests,
    arrivals: mesh.endpoints.flatMap(({ name }) => readLedger(join(mesh.ledgers, name))),
    impairments: mesh.impairments,
    endpoints: new Map(
      SERVICES.map(({ name }) => [name, mesh.endpointsOf(name).map((endpoint) => endpoint.name)]),
    ),
    deaths: mesh.deaths,
  };
}

function quotasOf({ perSecond, burst }: StormQuota, fromMs: number): KnownQuota[] {
  const numbers = { tokens: perSecond, perMs: 1_000, burst, fromMs, toMs: nowMs() };
  return SERVICES.filter(({ limited }) => limited === true).map(({ name }) => ({
    service: name,
    ...numbers,
  }));
}

/** A kill -9 may leave a half line at the end. */
function readLedger(file: string): Arrival[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line.endsWith('}')).map((line) => JSON.parse(line) as Arrival);
}

/**
 * Notes when the machine had no time: this process ran late, or stood in line for a core for more than a good part of
 * a tick (proc_pid_schedstat: ns on a run queue).
 */
function watchStalls(): { stop(): Interval[] } {
  const stalls: Interval[] = [];
  let last = nowMs();
  let waited = waitedMs();
  const timer = setInterval(() => {
    const [now, waitedNow] = [nowMs(), waitedMs()];
    if (now - last > TICK_MS + STALL_MS || waitedNow - waited > STALL_MS / 2)
      stalls.push({ fromMs: last, toMs: now });
    last = now;
    waited = waitedNow;
  }, TICK_MS);
  return {
    stop() {
      clearInterval(timer);
      return stalls;
    },
  };
}

function waitedMs(): number {
  return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6;
}

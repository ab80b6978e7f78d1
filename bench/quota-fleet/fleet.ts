import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openAuthority } from '../../control-plane/authority/authority.ts';
import { limitOf } from '../../protocol/quotas/limits.fixture.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import { Admitted } from './admitted.ts';
import type { Demand } from './demand.ts';
import { type Findings, machineMs } from './messages.ts';
import { proofOf } from './sidecar.ts';
import { WorkerProcess } from './worker-process.ts';

const MAIN = join(import.meta.dirname, '../../cli/main.ts');
const SERVICE = 'shop/orders';
const MAX_LIFE_MS = 600_000;
/** Orders are at all processes after so long. */
const LEAD_MS = 50;

export interface FleetOptions {
  readonly dir: string;
  readonly sidecars: number;
  /** Processes that they are in, some in each. */
  readonly workers: number;
  readonly controlPlanes: number;
  /** As in the annotation. */
  readonly limit: string;
  /** As in `quotas.store`. */
  readonly store: string;
  /** Environment of the process of that number, of control planes and of sidecars alike. */
  readonly env?: (index: number) => NodeJS.ProcessEnv;
}

/** What was found in one run, by all processes. */
export interface Run extends Omit<Findings, 'admitted'> {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Sidecars and control planes on one store. Times in ms since its start. */
export class Fleet {
  readonly limit: RateLimit;
  readonly controlPlanes: readonly ChildProcess[];
  readonly admitted = new Admitted(MAX_LIFE_MS);
  private readonly options: FleetOptions;
  private readonly workers: readonly WorkerProcess[];
  private readonly startMs: number;

  private constructor(
    options: FleetOptions,
    limit: RateLimit,
    workers: readonly WorkerProcess[],
    planes: readonly ChildProcess[],
    startMs: number,
  ) {
    this.options = options;
    this.limit = limit;
    this.workers = workers;
    this.controlPlanes = planes;
    this.startMs = startMs;
  }

  static async start(options: FleetOptions): Promise<Fleet> {
    const { dir, sidecars, workers, limit: text, env } = options;
    const limit = limitOf(text);
    const state = join(dir, 'state');
    const authority = await openAuthority(state, { trustDomain: 'mesh.local' });
    const planes = Array.from({ length: options.controlPlanes }, (_, plane) => {
      writeMesh(options, plane, text);
      return startControlPlane(meshFile(dir, plane), state, env?.(plane));
    });
    const addresses = await Promise.all(planes.map(({ address }) => address));
    const proof = await proofOf(authority, SERVICE);
    authority.close();
    const startMs = machineMs();
    const common = { count: sidecars, addresses, proof, service: SERVICE, limit, startMs };
    const firstOf = (worker: number): number => Math.floor((worker * sidecars) / workers);
    const started = await Promise.all(
      Array.from({ length: workers }, (_, at) => {
        const [first, next] = [firstOf(at), firstOf(at + 1)];
        return WorkerProcess.start(
          { type: 'start', ...common, first, own: next - first, lengthMs: MAX_LIFE_MS },
          env?.(at),
        );
      }),
    );
    return new Fleet(
      options,
      limit,
      started,
      planes.map(({ child }) => child),
      startMs,
    );
  }

  get nowMs(): number {
    return machineMs() - this.startMs;
  }

  /** Lets requests come for so long; `during` may do harm meanwhile. */
  async run(
    lengthMs: number,
    demand: Demand,
    during: () => Promise<void> = () => Promise.resolve(),
  ): Promise<Run> {
    const fromMs = this.nowMs + LEAD_MS;
    const harm = during();
    const runs = this.workers.map((worker) => worker.run({ type: 'run', fromMs, lengthMs, demand }));
    const found = await Promise.all(runs);
    await harm;
    for (const { admitted } of found) this.admitted.add(admitted);
    return {
      fromMs,
      toMs: fromMs + lengthMs,
      each: found.flatMap(({ each }) => each),
      refused: found.reduce((sum, { refused }) => sum + refused, 0),
      waitedMs: found.flatMap(({ waitedMs }) => waitedMs),
      decidedUs: found.flatMap(({ decidedUs }) => decidedUs),
      changedMs: found.flatMap(({ changedMs }) => changedMs),
      lateMs: Math.max(...found.map(({ lateMs }) => lateMs)),
    };
  }

  /** Gives the registry of one control plane another limit; it tells the others. */
  change(plane: number, limit: string): void {
    writeMesh(this.options, plane, limit);
  }

  /** What was admitted beyond the quota in the worst window of the whole life; no more than 0 if it was kept. */
  get excess(): number {
    const { tokens, perMs, burst } = this.limit;
    return this.admitted.excess(tokens / perMs, burst);
  }

  /** Admitted of what the quota allows in that time. */
  utilisation(fromMs: number, toMs: number): number {
    const { tokens, perMs } = this.limit;
    return this.admitted.between(fromMs, toMs) / ((tokens / perMs) * (toMs - fromMs));
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.close()));
    await Promise.all(this.controlPlanes.map(end));
  }
}

function meshFile(dir: string, plane: number): string {
  return join(dir, `plane-${plane}`, 'mesh.yaml');
}

/** Each control plane has a registry of its own, so that one may know of a change before the others. */
function writeMesh({ dir, store }: FleetOptions, plane: number, limit: string): void {
  const annotations = { 'tulle.dev/rate-limit': limit };
  const services = [{ name: 'orders', namespace: 'shop', port: 80, annotations }];
  const file = meshFile(dir, plane);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(`${file}.new`, JSON.stringify({ quotas: { store }, services })); // YAML holds JSON
  renameSync(`${file}.new`, file);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function startControlPlane(
  mesh: string,
  state: string,
  env: NodeJS.ProcessEnv = {},
): { child: ChildProcess; address: Promise<string> } {
  const args = ['control-plane', '--mesh', mesh, '--state', state, '--listen', '127.0.0.1:0'];
  const child = spawn(process.execPath, [MAIN, ...args, '--log-level', 'warn'], {
    stdio: ['ignore', 'pipe', process.env.QUOTAS_LOG === undefined ? 'ignore' : 'inherit'],
    env: { ...process.env, ...env },
  });
  const line = once(createInterface({ input: child.stdout }), 'line').then(
    ([text]) => (JSON.parse(String(text)) as { address: string }).address,
  );
  const early = once(child, 'exit').then(([code]) =>
    Promise.reject(new Error(`a control plane ended with ${code}`)),
  );
  early.catch(() => {}); // it ends some time
  return { child, address: Promise.race([line, early]) };
}

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { addressesOf, SLOTS } from './addresses.ts';

/** Outlives no restart of the machine, as a cluster does not. */
const CLAIMS = '/run/tulle-kubernetes';

/** A process that cannot be mistaken for a later one of the same number. */
export interface ProcessId {
  readonly pid: number;
  /** In clock ticks since the machine started (proc(5), field 22). */
  readonly started: string;
}

/** A cluster on this machine: what ends it, if need be after the death of whoever started it. */
export interface Claim {
  readonly slot: number;
  /** Its state, logs and kubeconfig; removed with it. */
  readonly dir: string;
  /** The cluster goes when this process has gone; undefined: it stays until `down`. */
  readonly owner?: ProcessId;
  /** The first process of its namespaces. */
  readonly init?: ProcessId;
}

/** Takes the first slot that no cluster and no route of this machine has. Throws an Error when there is none. */
export function claimSlot(dir: string, owner: ProcessId | undefined, routed: readonly string[]): Claim {
  mkdirSync(CLAIMS, { recursive: true, mode: 0o700 });
  for (let slot = 0; slot < SLOTS; slot++) {
    const prefix = addressesOf(slot).v4.all.split('.').slice(0, 2).join('.');
    if (routed.some((route) => route.startsWith(`${prefix}.`))) continue;
    const claim = { slot, dir, ...(owner && { owner }) };
    try {
      writeFileSync(fileOf(slot), JSON.stringify(claim), { flag: 'wx' });
      return claim;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new Error(`no slot for a cluster is free on this machine: see ${CLAIMS}`);
}

export function updateClaim(claim: Claim): void {
  writeFileSync(fileOf(claim.slot), JSON.stringify(claim));
}

export function releaseSlot(slot: number): void {
  rmSync(fileOf(slot), { force: true });
}

export function claims(): Claim[] {
  try {
    return readdirSync(CLAIMS).map((name) => JSON.parse(readFileSync(join(CLAIMS, name), 'utf8')) as Claim);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Identifies a running process; undefined when there is none. */
export function identify(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything; the state is the third field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const started = fields[19];
    return started === undefined || fields[0] === 'Z' ? undefined : { pid, started };
  } catch {
    return undefined;
  }
}

export function isRunning(process: ProcessId): boolean {
  return identify(process.pid)?.started === process.started;
}

function fileOf(slot: number): string {
  return join(CLAIMS, `${slot}.json`);
}

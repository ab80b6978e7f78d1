import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { addressesOf } from './addresses.ts';
import { type Claim, claimSlot, claims, identify, isRunning, type ProcessId, updateClaim } from './claim.ts';
import { output } from './command.ts';
import * as components from './components.ts';
import { dnsService, PAUSE_IMAGE, writeConfiguration } from './configuration.ts';
import { writeKeys } from './keys.ts';
import { endNode, furnishNode, onNode, startNode } from './node.ts';
import { writeProgramImage } from './program-image.ts';
import { clusterPrograms } from './programs.ts';

const START_LIMIT_MS = 120_000;

/** What is asked of a cluster of this machine. */
export interface StartOptions {
  /** A folder to be made: state, logs and kubeconfig. */
  readonly dir: string;
  /** The cluster ends with this process, at the latest when another is started; without: it stays until it is ended. */
  readonly ownerPid?: number;
  readonly log: (line: string) => void;
}

/** A cluster of this machine that is up. */
export interface LocalCluster {
  readonly kubeconfig: string;
  /** Folder of kubectl, helm and the cluster's own programs. */
  readonly programs: string;
  readonly claim: Claim;
}

/** Starts a Kubernetes of one node. Rejects with the last words of the part that failed; nothing is left then. */
export async function startLocalCluster({ dir, ownerPid, log }: StartOptions): Promise<LocalCluster> {
  await endAbandoned(log);
  const programs = clusterPrograms(log);
  const owner = ownerPid === undefined ? undefined : identify(ownerPid);
  const routes = JSON.parse(await output('ip', '-json', '-4', 'route')) as { dst: string }[];
  const claim = claimSlot(
    dir,
    owner,
    routes.map(({ dst }) => dst),
  );
  try {
    return await start(claim, programs);
  } catch (error) {
    await endLocalCluster(claims().find(({ slot }) => slot === claim.slot) ?? claim);
    throw error;
  }
}

/** Ends the clusters that a process owns, those too that are only starting. */
export async function endOwned(pid: number): Promise<void> {
  for (const claim of claims().filter(({ owner }) => owner?.pid === pid)) await endLocalCluster(claim);
}

/** Ends a cluster of this machine, and everything that it had. */
export async function endLocalCluster(claim: Claim): Promise<void> {
  await endNode(claim, addressesOf(claim.slot));
}

/** Ends clusters whose owner was killed before it could. */
async function endAbandoned(log: (line: string) => void): Promise<void> {
  for (const claim of claims()) {
    if (claim.owner === undefined || isRunning(claim.owner)) continue;
    log(`ending a cluster that an earlier run left behind: ${claim.dir}`);
    await endLocalCluster(claim);
  }
}

async function start(claimed: Claim, programs: string): Promise<LocalCluster> {
  const { dir } = claimed;
  const addresses = addressesOf(claimed.slot);
  for (const name of ['log', 'pki']) mkdirSync(join(dir, name), { recursive: true });
  const init = await startNode(dir, programs);
  const claim = { ...claimed, init };
  updateClaim(claim);
  await furnishNode(init, dir, addresses);
  const places = { dir, programs, addresses };
  const { v4, v6, apiService } = addresses;
  await writeKeys(join(dir, 'pki'), ['127.0.0.1', v4.node, apiService], [v4.node, v6.node]);
  writeConfiguration(places);
  const kubeconfig = join(dir, 'kubeconfig');
  const kubectl = (...args: string[]) =>
    output(join(programs, 'kubectl'), '--kubeconfig', kubeconfig, ...args);
  const parts = new Parts(dir, init);
  parts.start('etcd', components.etcd(places));
  parts.start('containerd', components.containerd(places));
  parts.start('kube-apiserver', components.apiServer(places));
  const pause = join(dir, 'pause.tar');
  const files = { '/pause': join(programs, 'node-init') };
  await writeProgramImage(pause, { names: [PAUSE_IMAGE], files, entrypoint: ['/pause'] });
  await parts.until('containerd', () => importImage(dir, pause));
  await parts.until('the API server', () => kubectl('get', '--raw', '/readyz'));
  parts.start('kube-controller-manager', components.controllerManager(places));
  parts.start('kube-scheduler', components.scheduler(places));
  parts.start('coredns', components.coredns(places));
  parts.start('kubelet', components.kubelet(places));
  parts.start('kube-proxy', components.kubeProxy(places));
  const dns = join(dir, 'dns.yaml');
  writeFileSync(
    dns,
    dnsService(places)
      .map((one) => stringify(one))
      .join('---\n'),
  );
  await parts.until("the DNS' Service", () => kubectl('apply', '-f', dns));
  await parts.until('the node', () => kubectl('wait', '--for=condition=Ready', 'node/node', '--timeout=1s'));
  await parts.until('the default service account', () => kubectl('get', 'serviceaccount', 'default'));
  parts.release();
  return { kubeconfig, programs, claim };
}

/** Loads an image archive into the containerd of a cluster's folder. */
export async function importImage(dir: string, tar: string): Promise<void> {
  const [command = '', ...args] = importCommand(dir);
  await output(command, ...args, tar);
}

/** The command that loads an image, without its file. */
export function importCommand(dir: string): string[] {
  return ['ctr', '--address', join(dir, 'containerd.sock'), '--namespace', 'k8s.io', 'images', 'import'];
}

/** The cluster's parts while it starts: they outlive this process. */
class Parts {
  readonly #children = new Map<string, ChildProcess>();
  readonly #dir: string;
  readonly #init: ProcessId;

  constructor(dir: string, init: ProcessId) {
    this.#dir = dir;
    this.#init = init;
  }

  start(name: string, command: readonly string[]): void {
    const [program = '', ...args] = [...onNode(this.#init), ...command];
    const log = openSync(this.#logOf(name), 'a');
    this.#children.set(name, spawn(program, args, { stdio: ['ignore', log, log], detached: true }));
    closeSync(log);
  }

  /** Tries until it works. Rejects when a part ends, or after two minutes. */
  async until(what: string, attempt: () => Promise<unknown>): Promise<void> {
    const end = performance.now() + START_LIMIT_MS;
    for (;;) {
      try {
        await attempt();
        return;
      } catch (error) {
        for (const [name, { exitCode, signalCode }] of this.#children) {
          if (exitCode !== null || signalCode !== null)
            throw new Error(`${name} ended: ${this.#lastWords(name)}`);
        }
        if (performance.now() > end) throw new Error(`waited in vain for ${what}: ${error}`);
        await sleep(100);
      }
    }
  }

  /** This process may end before them. */
  release(): void {
    for (const child of this.#children.values()) child.unref();
  }

  #lastWords(name: string): string {
    return readFileSync(this.#logOf(name), 'utf8').trimEnd().split('\n').slice(-3).join('\n');
  }

  #logOf(name: string): string {
    return join(this.#dir, 'log', `${name}.log`);
  }
}

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { addressesOf } from './cluster/addresses.ts';
import { output } from './cluster/command.ts';
import { inNetworkOf } from './cluster/node.ts';
import { clusterPrograms } from './cluster/programs.ts';
import { endLocalCluster, importCommand, importImage, startLocalCluster } from './cluster/start.ts';
import { tracesOf } from './cluster/traces.ts';

/** Loads an image archive into a cluster that is given: a command to which the file is added. */
const LOAD = 'TULLE_LOAD_IMAGE';
/** Put before a command so that it runs in the node's network; empty when the node is this machine. */
const ON_NODE = 'TULLE_ON_NODE';

/** A Kubernetes for tests. */
export interface Cluster {
  readonly kubeconfig: string;
  /** Loads an image archive (OCI or Docker) under the name that it holds. */
  loadImage(tar: string): Promise<void>;
  /** Ends it, when it was started here. Rejects with an Error that names what it left on this machine. */
  stop(): Promise<void>;
}

/** For a test of a run: the run's cluster. Throws an Error when there is none. */
export function runningCluster(): Cluster {
  const { KUBECONFIG } = process.env;
  if (KUBECONFIG === undefined) throw new Error('KUBECONFIG is not set: see test/kubernetes/README.md');
  return givenCluster(KUBECONFIG);
}

/** The cluster of $KUBECONFIG. Its images must be there, or be loaded by the command in $TULLE_LOAD_IMAGE. */
export function givenCluster(kubeconfig: string): Cluster {
  const command = process.env[LOAD];
  return {
    kubeconfig,
    async loadImage(tar) {
      if (command !== undefined) await output('sh', '-c', `${command} "$1"`, 'sh', tar);
    },
    async stop() {},
  };
}

/** Starts a cluster that ends with this process, builds its programs first where they are missing. */
export async function startCluster(log: (line: string) => void): Promise<Cluster> {
  const dir = mkdtempSync(join(tmpdir(), 'tulle-kubernetes-'));
  const { kubeconfig, claim } = await startLocalCluster({ dir, ownerPid: process.pid, log });
  if (claim.init !== undefined) process.env[ON_NODE] = inNetworkOf(claim.init).join(' ');
  process.env[LOAD] = importCommand(dir).join(' ');
  return {
    kubeconfig,
    loadImage: (tar) => importImage(dir, tar),
    async stop() {
      await endLocalCluster(claim);
      const traces = await tracesOf(dir, addressesOf(claim.slot));
      if (traces.length > 0) throw new Error(`the cluster left behind:\n${traces.join('\n')}`);
    },
  };
}

/** Lets this process and those that it starts use a cluster: kubectl and helm are found, and the cluster. */
export function useCluster({ kubeconfig }: Cluster, log: (line: string) => void): void {
  process.env.KUBECONFIG = kubeconfig;
  process.env.PATH = `${clusterPrograms(log)}${delimiter}${process.env.PATH ?? ''}`;
}

/** A command as it is to be run in the network of the cluster's node. */
export function inNodeNetwork(...command: readonly string[]): readonly string[] {
  const enter = process.env[ON_NODE] ?? '';
  return [...enter.split(' ').filter((word) => word !== ''), ...command];
}

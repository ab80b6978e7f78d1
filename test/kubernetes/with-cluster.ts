import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endOwned } from './cluster/start.ts';
import { type Cluster, givenCluster, startCluster, useCluster } from './cluster.ts';
import { tulleImage } from './image.ts';

/** Signals that end a run early: the cluster goes first. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs `body` with a cluster that has Tulle's image, and ends the cluster whatever happens. `given`: a kubeconfig of
 * a cluster that is there already.
 */
export async function withCluster(
  given: string | undefined,
  log: (line: string) => void,
  body: () => Promise<void>,
): Promise<void> {
  const startMs = performance.now();
  const interrupted = (): void => {
    log('ending the cluster ...');
    endOwned(process.pid).then(
      () => process.exit(130),
      (error) => {
        log(String(error));
        process.exit(1);
      },
    );
  };
  for (const signal of ENDING) process.once(signal, interrupted);
  try {
    const cluster = given === undefined ? await startCluster(log) : givenCluster(given);
    try {
      useCluster(cluster, log);
      await loadTulle(cluster);
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      log(`the cluster is up after ${seconds} s: KUBECONFIG=${cluster.kubeconfig}`);
      await body();
    } finally {
      await cluster.stop();
    }
  } finally {
    for (const signal of ENDING) process.off(signal, interrupted);
  }
}

async function loadTulle(cluster: Cluster): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-image-'));
  try {
    await cluster.loadImage(tulleImage(join(folder, 'tulle.tar')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CLUSTER_PREREQUISITES, ensurePrerequisites } from '../../prerequisites.ts';
import { claims } from './claim.ts';
import { onNode } from './node.ts';
import { endLocalCluster, importImage, startLocalCluster } from './start.ts';

/**
 * `npm run cluster -- up DIR`: a Kubernetes that stays, for work by hand. `down DIR` ends it, `load DIR FILE.tar` loads
 * an image, `list` tells which there are.
 */
const USAGE = 'usage: npm run cluster -- up DIR | down DIR | load DIR FILE.tar | list';
const [verb, place = '', file = ''] = process.argv.slice(2);
const dir = resolve(place);
const log = (line: string) => console.error(line);

if (verb === 'up' && place !== '') await up();
else if (verb === 'down' && place !== '') await down();
else if (verb === 'load' && file !== '') await importImage(dir, resolve(file));
else if (verb === 'list') list();
else {
  log(USAGE);
  process.exitCode = 2;
}

async function up(): Promise<void> {
  if (existsSync(dir)) throw new Error(`${dir} is there already`);
  ensurePrerequisites(CLUSTER_PREREQUISITES);
  const { kubeconfig, programs } = await startLocalCluster({ dir, log });
  console.log(`export KUBECONFIG=${kubeconfig} PATH=${programs}:$PATH`);
}

async function down(): Promise<void> {
  const claim = claims().find((one) => one.dir === dir);
  if (claim === undefined) throw new Error(`no cluster has ${dir}`);
  await endLocalCluster(claim);
}

function list(): void {
  for (const { init, ...claim } of claims()) {
    const enter = init === undefined ? 'starting' : onNode(init).join(' ');
    console.log(`${claim.dir}: export KUBECONFIG=${join(claim.dir, 'kubeconfig')}; on its node: ${enter}`);
  }
}

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../fixture/wait.ts';
import { kubectl } from '../kubectl.ts';
import { addressesOf } from './addresses.ts';
import { claims } from './claim.ts';
import { output } from './command.ts';
import { endLocalCluster, startLocalCluster } from './start.ts';
import { tracesOf } from './traces.ts';

/** Starts a cluster, and is killed before it can end it. */
const KILLED = `
  const [module, dir] = process.argv.slice(1);
  const { startLocalCluster } = await import(module);
  await startLocalCluster({ dir, ownerPid: process.pid, log() {} });
  process.kill(process.pid, 'SIGKILL');
`;

test('a cluster whose owner was killed is ended by the next one, and others go on beside them', async (context) => {
  const [abandoned, dir] = [newDir(), newDir()];
  const args = ['--input-type=module', '-e', KILLED, join(import.meta.dirname, 'start.ts'), abandoned];
  const owner = spawn(process.execPath, args, { stdio: 'ignore' });
  await once(owner, 'exit');
  assert.equal(owner.signalCode, 'SIGKILL');
  const left = claims().find((claim) => claim.dir === abandoned);
  assert.ok(left);
  assert.notDeepEqual(await tracesOf(abandoned, addressesOf(left.slot)), []);

  const lines: string[] = [];
  const { kubeconfig, claim } = await startLocalCluster({
    dir,
    ownerPid: process.pid,
    log: (line) => lines.push(line),
  });
  context.after(() => endLocalCluster(claim));
  assert.deepEqual(lines, [`ending a cluster that an earlier run left behind: ${abandoned}`]);
  const ours = await output('kubectl', '--kubeconfig', kubeconfig, 'get', 'nodes', '-o', 'name');
  assert.equal(ours, 'node/node\n');
  assert.match(await kubectl('get', 'nodes', '-o', 'name'), /^node\//m);

  await endLocalCluster(claim);
  // What stood on this machine for processes of the node ends just after these.
  const traces = () => tracesOf(dir, addressesOf(claim.slot));
  await until('no trace of it', async () => (await traces()).length === 0).catch(async () =>
    assert.deepEqual(await traces(), []),
  );
  assert.match(await kubectl('get', 'nodes', '-o', 'name'), /^node\//m);
});

function newDir(): string {
  return mkdtempSync(join(tmpdir(), 'tulle-kubernetes-'));
}

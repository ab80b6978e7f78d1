import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from 'undici';
import { letIn, limitedMesh, load } from './fixture/limited-mesh.ts';
import { until } from './fixture/wait.ts';

const after = (ms: number) => {
  const end = performance.now() + ms;
  return () => performance.now() > end;
};

test('three sidecars together let in no more than the quota', async (context) => {
  const mesh = await limitedMesh(context, '200/s burst 100', 3);
  for (const address of mesh.addresses) await letIn(address);
  const all = await load(mesh.addresses, 12, after(3_000));
  assert.deepEqual(all.others, []);
  const quota = 100 + (200 * all.elapsedMs) / 1000;
  assert.ok(all.admitted <= quota, `${all.admitted} of ${quota}`);
  assert.ok(all.admitted > 0);
  assert.ok(all.refused > 0);
});

async function status(address: string): Promise<number> {
  const { statusCode, body } = await request(`http://${address}/`);
  await body.dump();
  return statusCode;
}

test('concurrent and exact limits hold for all sidecars together', async (context) => {
  const mesh = await limitedMesh(context, '60/s burst 30 exact; concurrent 40', 2);
  for (const address of mesh.addresses) await letIn(address);
  const all = await load(mesh.addresses, 8, after(2_000));
  const quota = 30 + (60 * all.elapsedMs) / 1000;
  assert.deepEqual(all.others, []);
  assert.ok(all.admitted <= quota, `${all.admitted} of ${quota}`);
  assert.ok(all.admitted > 0);
});

test('a control plane is killed: on-outage decides in time; another takes over and all is as before', async (context) => {
  const mesh = await limitedMesh(context, '500/s burst 250 on-outage deny', 2);
  const [first = ''] = mesh.addresses;
  await letIn(first);
  await mesh.controlPlane.end('SIGKILL');
  await until('a refusal', async () => (await status(first)) === 429);
  const without = await load([first], 2, after(500));
  assert.equal(without.admitted, 0);
  await mesh.restartControlPlane();
  await letIn(first);
});

test('on-outage allow: the service works as without a limit', async (context) => {
  const mesh = await limitedMesh(context, '5/s on-outage allow', 1);
  const [first = ''] = mesh.addresses;
  await letIn(first);
  await mesh.controlPlane.end('SIGKILL');
  await until('twenty in a row', async () => {
    for (let one = 0; one < 20; one++) if ((await status(first)) !== 200) return false;
    return true;
  });
});

test('on-outage share: a sidecar goes on with its share, without a control plane', async (context) => {
  const mesh = await limitedMesh(context, '100/s burst 50', 2);
  const [first = '', second = ''] = mesh.addresses;
  await letIn(first);
  await letIn(second);
  // Each has to know of the other.
  await load(mesh.addresses, 4, after(500));
  await mesh.controlPlane.end('SIGKILL');
  await until('a refusal', async () => (await status(first)) === 429);
  await letIn(first);
  const alone = await load([first], 4, after(2_000));
  const share = 25 + (50 * alone.elapsedMs) / 1000;
  assert.ok(alone.admitted <= share, `${alone.admitted} of ${share}`);
  assert.ok(alone.admitted > 0);
});

test('a smaller limit holds without a restart', async (context) => {
  const mesh = await limitedMesh(context, '1000/s burst 500', 1);
  const [first = ''] = mesh.addresses;
  await letIn(first);
  mesh.limit('2/h burst 2');
  await until('a refusal', async () => (await status(first)) === 429);
  const later = await load([first], 4, after(1_000));
  assert.ok(later.admitted <= 2, String(later.admitted));
});

test('workers: all together let in no more than the quota', async (context) => {
  const mesh = await limitedMesh(context, '200/s burst 100', 1, { sidecarFlags: ['--workers', '2'] });
  const [first = ''] = mesh.addresses;
  await letIn(first);
  const all = await load([first], 8, after(2_000));
  const quota = 100 + (200 * all.elapsedMs) / 1000;
  assert.ok(all.admitted <= quota, `${all.admitted} of ${quota}`);
  assert.ok(all.admitted > 0);
});

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { request } from 'undici';
import { letIn, limitedMesh, load } from './fixture/limited-mesh.ts';
import { until } from './fixture/wait.ts';
import { startHttp1 } from './http2/server.ts';

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

test('dry-run with exact refuses nobody at any sidecar: what all together use up is counted and explained', async (context) => {
  const held: ServerResponse[] = [];
  const { address: app } = await startHttp1(context, (_request, response) => void held.push(response));
  const mesh = await limitedMesh(context, '2/h exact dry-run', 2, { app });
  const pages = async (path: string) => {
    const all = mesh.sidecars.map(async ({ ready }) => (await fetch(`http://${ready.admin}${path}`)).text());
    return (await Promise.all(all)).join('\n');
  };
  const judged = async (result: string) => {
    const series = `^tulle_rate_limit_requests_total\\{.*result="${result}"\\} (\\d+)`;
    const values = (await pages('/metrics')).matchAll(new RegExp(series, 'gm'));
    return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
  };
  for (let round = 1; round <= 3; round++) {
    const statuses = mesh.addresses.map(status);
    await until('both at the application', () => held.length === 2);
    // Nobody waits for the store, so it says so only now.
    await until(
      'both to be counted',
      async () =>
        [await judged('admitted'), await judged('would_refuse')].reduce((sum, count) => sum + count) ===
        2 * round,
    );
    for (const response of held.splice(0)) response.end();
    assert.deepEqual(await Promise.all(statuses), [200, 200]);
  }
  assert.ok((await judged('admitted')) <= 2);
  assert.equal(await judged('refused'), 0);
  await until('an explanation', async () =>
    (await pages('/explain')).includes('2/h of shop/orders is used up (dry-run)'),
  );
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

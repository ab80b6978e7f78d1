import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSmallMesh } from './fixture/small-mesh.ts';
import { steadyLoad } from './fixture/steady-load.ts';
import { until } from './fixture/wait.ts';

const ROTATIONS = 3;

interface Certs {
  chain: { serial: string; notAfter: string }[];
}

async function leaf(admin: string | undefined): Promise<Certs['chain'][number]> {
  const { chain } = (await (await fetch(`http://${admin}/certs`)).json()) as Certs;
  assert.ok(chain[0] !== undefined);
  return chain[0];
}

test('certificates that live 5 s are rotated under load, on both sides, and no request fails', async (context) => {
  const mesh = await startSmallMesh(context, '--leaf-life', '5s');
  const first = await leaf(mesh.orders.ready.admin);
  const load = steadyLoad(mesh.web.ready.outbound ?? '', 'orders');
  for (const { ready } of [mesh.web, mesh.orders]) {
    const serials = new Set<string>();
    await until(`${ROTATIONS} new certificates`, async () => {
      serials.add((await leaf(ready.admin)).serial);
      return serials.size > ROTATIONS;
    });
  }
  assert.ok(Date.now() > Date.parse(first.notAfter), 'the first certificate has ended meanwhile');
  const before = load.succeeded;
  await until('load with the new certificates', () => load.succeeded > before + 200);
  await load.stop();
  assert.deepEqual(load.failures, []);
});

test('an authority that is away: certificates are used to their end, and renewed when it is back', async (context) => {
  const mesh = await startSmallMesh(context, '--leaf-life', '5s');
  const before = await leaf(mesh.web.ready.admin);
  await mesh.controlPlane.end('SIGKILL');
  await until('a renewal that is not answered', async () => {
    const state = await (await fetch(`http://${mesh.web.ready.admin}/readyz`)).text();
    return state.includes('certificate renewal');
  });
  await mesh.restartControlPlane();
  await until('a new certificate', async () => (await leaf(mesh.web.ready.admin)).serial !== before.serial);
});

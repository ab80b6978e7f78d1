import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from 'undici';
import { startSmallMesh } from './fixture/small-mesh.ts';
import { steadyLoad } from './fixture/steady-load.ts';
import { until } from './fixture/wait.ts';

interface Readiness {
  ready: boolean;
  degraded: string[];
}

async function readiness(admin: string | undefined): Promise<Readiness> {
  return (await (await fetch(`http://${admin}/readyz`)).json()) as Readiness;
}

async function metric(admin: string | undefined, name: string): Promise<number> {
  const text = await (await fetch(`http://${admin}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function served(admin: string | undefined): Promise<number> {
  const text = await (await fetch(`http://${admin}/metrics`)).text();
  return Number(/^istio_requests_total\{reporter="destination".*\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

test('kill -9 of the control plane under load fails no request; its successor is followed where the first left off', async (context) => {
  const mesh = await startSmallMesh(context);
  const { web, orders } = mesh;
  const load = steadyLoad(web.ready.outbound ?? '', 'orders');
  await until('load', () => load.succeeded > 200);

  await mesh.controlPlane.end('SIGKILL');
  for (const { ready } of [web, orders]) {
    await until('a sidecar that says it is on its own', async () => {
      const { degraded } = await readiness(ready.admin);
      return degraded.some((reason) => reason.includes('running on the last known state'));
    });
    assert.equal((await readiness(ready.admin)).ready, true, 'degraded, and ready all the same');
    assert.equal(await metric(ready.admin, 'tulle_control_plane_connected'), 0);
  }
  const before = load.succeeded;
  await until('load without a control plane', () => load.succeeded > before + 200);

  await mesh.restartControlPlane();
  await until('sidecars that are connected again', async () => {
    const states = await Promise.all([web, orders].map(({ ready }) => readiness(ready.admin)));
    return states.every(({ ready, degraded }) => ready && degraded.length === 0);
  });
  const second = await mesh.startOrders();
  mesh.writeEndpoints(orders.ready.inbound ?? '', second.ready.inbound ?? '');
  await until('load at the new instance', async () => (await served(second.ready.admin)) > 20);

  await load.stop();
  assert.deepEqual(load.failures, []);
});

test('a control plane that froze does not hold up the first request to a service: the next one is asked', async (context) => {
  const mesh = await startSmallMesh(context);
  const frozen = mesh.controlPlane.ready.address ?? '';
  const web = await mesh.startWeb(frozen, await mesh.addControlPlane());
  await until(`a connection to ${frozen}`, async () => {
    const { degraded } = await readiness(web.ready.admin);
    return degraded.length === 0;
  });
  mesh.controlPlane.child.kill('SIGSTOP');
  const { statusCode, body } = await request(`http://${web.ready.outbound}/`, {
    headers: { host: 'orders' },
  });
  assert.deepEqual([statusCode, await body.text()], [200, 'orders']);
});

test('an instance that drains at SIGTERM after it left the registry fails no request', async (context) => {
  const mesh = await startSmallMesh(context);
  const second = await mesh.startOrders();
  mesh.writeEndpoints(mesh.orders.ready.inbound ?? '', second.ready.inbound ?? '');
  const load = steadyLoad(mesh.web.ready.outbound ?? '', 'orders');
  await until('load at both instances', async () => {
    const counts = await Promise.all([mesh.orders, second].map(({ ready }) => served(ready.admin)));
    return counts.every((count) => count > 20);
  });
  mesh.writeEndpoints(second.ready.inbound ?? '');
  await until('one endpoint at the caller', async () => {
    const config = await (await fetch(`http://${mesh.web.ready.admin}/config`)).text();
    return !config.includes(mesh.orders.ready.inbound ?? '');
  });
  await mesh.orders.end('SIGTERM');
  const before = load.succeeded;
  await until('load at what is left', () => load.succeeded > before + 200);
  await load.stop();
  assert.deepEqual(load.failures, []);
});

import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Agent, request } from 'undici';
import { type Admissions, admissionsAt, bucket, excess, window } from '../fixture/admissions.ts';
import { deadAddress } from '../fixture/free-port.ts';
import { type LimitedMesh, letIn, limitedMesh } from '../fixture/limited-mesh.ts';
import { type RedisProcess, redisProcess } from '../fixture/redis.ts';
import { until } from '../fixture/wait.ts';

const LIMIT = { timeout: 120_000 };

/** Two sidecars of a service, each at a control plane of its own, on one Redis: all are processes. */
async function fleet(
  context: TestContext,
  limit: string,
  app?: string,
): Promise<{ readonly redis: RedisProcess; readonly mesh: LimitedMesh }> {
  const redis = await redisProcess(context);
  const store = `redis://${redis.address}`;
  return { redis, mesh: await limitedMesh(context, limit, 2, { store, controlPlanes: 2, app }) };
}

/** Waits until so many more are let in at each of these addresses. */
async function admits(what: string, load: Admissions, addresses: readonly string[], more: number) {
  const before = new Map(load.byAddress);
  await until(what, () =>
    addresses.every((address) => (load.byAddress.get(address) ?? 0) >= (before.get(address) ?? 0) + more),
  );
}

test(
  'two sidecars share a quota of each kind in one Redis, and a changed one arrives at both',
  LIMIT,
  async (context) => {
    const { mesh } = await fleet(context, '80/s burst 20');
    const kinds: readonly (readonly [limit: string, told: string, most: (ms: number) => number])[] = [
      ['80/s burst 20', '"tokens": 80', bucket(80, 20)],
      ['60/s burst 10 exact', '"tokens": 60', bucket(60, 10)],
      ['window 40/s', '"tokens": 40', window(40, 1000)],
      // Off by less than the count.
      ['estimate 41/s', '"tokens": 41', window(2 * 41 - 1, 1000)],
      ['window 42/s exact', '"tokens": 42', window(42, 1000)],
    ];
    for (const [limit, told, most] of kinds) {
      mesh.limit(limit);
      await mesh.told(told);
      for (const address of mesh.addresses) await letIn(address);
      const load = admissionsAt(context, mesh.addresses, 2);
      await until(`refusals by ${limit}`, () => load.refused > 20);
      await admits(`both to be let in by ${limit}`, load, mesh.addresses, 5);
      await until(`some by ${limit}`, () => load.all.length > 90);
      await load.stop();
      assert.deepEqual(load.others, [], limit);
      const over = excess(load.all, most);
      assert.ok(over <= 0, `${over} more than ${limit}`);
    }
  },
);

test(
  'requests at once of two sidecars together are no more than a limit in Redis',
  LIMIT,
  async (context) => {
    const held: ServerResponse[] = [];
    const server = createServer((_request, response) => void held.push(response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo; // it listens by TCP
    const { mesh } = await fleet(context, 'concurrent 6', `127.0.0.1:${port}`);
    const dispatcher = new Agent();
    context.after(() => dispatcher.destroy());
    for (let round = 0; round < 3; round++) {
      const statuses: number[] = [];
      const all = Array.from({ length: 30 }, async (_, index) => {
        const { statusCode, body } = await request(`http://${mesh.addresses[index % 2]}/`, { dispatcher });
        await body.dump();
        statuses.push(statusCode);
      });
      await until('all others to be refused', () => held.length + statuses.length === 30);
      assert.ok(held.length <= 6, `${held.length} at once`);
      assert.deepEqual([...new Set(statuses)], [429]);
      const most = held.length;
      for (const response of held.splice(0)) response.end();
      await Promise.all(all);
      assert.equal(statuses.filter((status) => status === 200).length, most);
    }
  },
);

test(
  'Redis is killed and comes back empty: the sum of two sidecars is never above, and all is as before',
  LIMIT,
  async (context) => {
    const { redis, mesh } = await fleet(context, '100/s burst 50');
    for (const address of mesh.addresses) await letIn(address);
    const load = admissionsAt(context, mesh.addresses, 2);
    for (let round = 0; round < 2; round++) {
      await admits('both to be let in', load, mesh.addresses, 20);
      await redis.kill();
      await until('refusals', refusals(load));
      await admits('shares of both, without Redis', load, mesh.addresses, 20);
      await redis.restart();
      const keys = () => redis.ask('KEYS', 'tulle:quota:*');
      await until('quotas in Redis again', async () => (await keys()) !== '');
    }
    await admits('both to be let in again', load, mesh.addresses, 40);
    await load.stop();
    assert.deepEqual(load.others, []);
    const over = excess(load.all, bucket(100, 50));
    assert.ok(over <= 0, `${over} more than the quota`);
  },
);

test(
  'a sidecar that was killed is the same when it is started again, and one that ends leaves its share to the other',
  LIMIT,
  async (context) => {
    const redis = await redisProcess(context);
    const store = `redis://${redis.address}`;
    const inbound = [await deadAddress(), await deadAddress()];
    const mesh = await limitedMesh(context, '100/s burst 50', 2, { store, controlPlanes: 2, inbound });
    const members = async () => Number(await redis.ask('HLEN', await redis.ask('KEYS', '*:members')));
    for (const address of mesh.addresses) await letIn(address);
    assert.equal(await members(), 2);
    await mesh.sidecars[1]?.end('SIGKILL');
    await mesh.restartSidecar(1);
    await letIn(inbound[1] ?? '');
    assert.equal(await members(), 2);
    await mesh.sidecars[1]?.end('SIGTERM');
    await until('one to be left', async () => (await members()) === 1);
  },
);

function refusals(load: Admissions): () => boolean {
  const before = load.refused;
  return () => load.refused > before;
}

test('without Redis, allow lets all in and deny nobody, until it is back', LIMIT, async (context) => {
  const { redis, mesh } = await fleet(context, '3/s burst 3 on-outage allow');
  for (const address of mesh.addresses) await letIn(address);
  await redis.kill();
  for (const address of mesh.addresses) await inARow(address, 20, 200);
  mesh.limit('3/s burst 3 on-outage deny');
  await mesh.told('"onOutage": "deny"');
  for (const address of mesh.addresses) await inARow(address, 20, 429);
  const { headers, body } = await request(`http://${mesh.addresses[0]}/`);
  const { detail } = (await body.json()) as { detail: string };
  assert.match(detail, /Redis/, 'it says who is away');
  assert.equal(headers['tulle-reason'], 'rate-limited');
  await redis.restart();
  for (const address of mesh.addresses) await letIn(address);
});

/** Waits until so many requests, one after the other, end in `status`. */
async function inARow(address: string, count: number, status: number): Promise<void> {
  await until(`${count} times ${status}`, async () => {
    for (let one = 0; one < count; one++) {
      const { statusCode, body } = await request(`http://${address}/`);
      await body.dump();
      if (statusCode !== status) return false;
    }
    return true;
  });
}

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { draw } from '../../control-plane/quotas/quota-store.contract.fixture.ts';
import type { QuotaStore } from '../../control-plane/quotas/quota-store.ts';
import { openRedisStore } from '../../control-plane/quotas/redis-store.ts';
import {
  storeInTime,
  timedStoreContract,
  youngStoreContract,
} from '../../control-plane/quotas/timed-store.contract.fixture.ts';
import type { QuotaDraw } from '../../protocol/quotas/memory-quotas.ts';
import { parseStoreAddress } from '../../protocol/quotas/store-address.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import { redisProcess } from '../fixture/redis.ts';
import { until } from '../fixture/wait.ts';

/** Not what is tested here, on a machine that does much else. */
const PATIENCE_MS = 5_000;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** A store on a real Redis that goes by another clock; it knows `services`, and Redis all scripts. */
async function storeBy(
  context: TestContext,
  now: () => number,
  ...services: readonly string[]
): Promise<QuotaStore> {
  const address = parseStoreAddress(`redis://${(await redisProcess(context)).address}`);
  assert.ok(typeof address !== 'string' && address.kind !== 'memory', String(address));
  const store = await openRedisStore(
    { address, trustDomain: 'mesh.local', answerMs: PATIENCE_MS, now },
    SILENT,
  );
  context.after(() => store.close());
  const nothing: QuotaDraw[] = [draw('100/s', 0, { subject: 'before' })];
  for (const service of services) {
    await until(
      'Redis to answer',
      async () => (await store.draw(service, 'before', false, nothing).catch(() => undefined)) !== undefined,
    );
    // A script that Redis does not know yet is sent twice: later the clock of the test would go back by it.
    store.contact(service, [{ name: 'before', told: 0 }]);
    store.leave(service, 'before');
    for (let i = 0; i < 3; i++) await store.draw(service, 'after', false, nothing);
    store.leave(service, 'after');
  }
  return store;
}

/** Of the clocks of tests, in ms. */
const START_MS = 1_700_000_000_000;

timedStoreContract('Redis', async (context) => {
  const clock = { nowMs: START_MS };
  const store = await storeBy(context, () => clock.nowMs, 't/app', 't/other');
  clock.nowMs += 10 * 86_400_000; // so long that all is whole
  return storeInTime(store, clock);
});

youngStoreContract('Redis', async (context) => {
  const clock = { nowMs: START_MS };
  return storeInTime(await storeBy(context, () => clock.nowMs, 't/other'), clock);
});

test("Redis' clock that goes back an hour frees no place that is held, nor holds one for an hour", async (context) => {
  let nowMs = 2_000_000_000;
  const store = await storeBy(context, () => nowMs, 't/app');
  const get = async (member: string, want: number): Promise<number> =>
    (await store.draw('t/app', member, false, [draw('concurrent 5', want)])).grants[0]?.granted ?? -1;
  nowMs += 10_000;
  assert.equal(await get('a', 5), 5);
  nowMs -= 3_600_000;
  assert.equal(await get('b', 5), 0);
  assert.equal(await get('a', 5), 5);
  nowMs += 600;
  assert.equal(await get('b', 5), 0);
  nowMs += 600;
  assert.ok((await get('b', 5)) > 0, 'whoever does not ask again loses them as always');
});

test('an attacker with a name for each request fills Redis no longer than until each bucket is whole again', async (context) => {
  const redis = await redisProcess(context);
  const address = parseStoreAddress(`redis://${redis.address}`);
  assert.ok(typeof address !== 'string' && address.kind !== 'memory', String(address));
  const store = await openRedisStore(
    { address, trustDomain: 'mesh.local', ageless: true, answerMs: PATIENCE_MS },
    SILENT,
  );
  context.after(() => store.close());
  for (const [text, longestS] of [
    ['1000/d', 86],
    ['window 1000/h', 3_672],
    ['estimate 1000/h', 2 * 3_672],
    ['concurrent 1000', 1],
  ] as const) {
    await until(
      'Redis to answer',
      async () =>
        (await store.draw('t/app', 'a', false, [draw(text, 1)]).catch(() => undefined)) !== undefined,
    );
    const keys = (await redis.ask('KEYS', 'tulle:quota:mesh.local:{t/app}:*')).split('\n');
    const buckets = keys.filter((key) => !/:(here|members|drawers)$/.test(key));
    assert.ok(buckets.length > 0);
    for (const key of buckets) {
      const seconds = Number(await redis.ask('TTL', key));
      assert.ok(seconds > 0 && seconds <= longestS + 61, `${text} ${key} ${seconds} s`);
    }
    await redis.ask('FLUSHALL');
  }
});

test('the keys of a service that is not used any more expire, also if its sidecars leave late', async (context) => {
  const redis = await redisProcess(context);
  const address = parseStoreAddress(`redis://${redis.address}`);
  assert.ok(typeof address !== 'string' && address.kind !== 'memory', String(address));
  const store = await openRedisStore(
    { address, trustDomain: 'mesh.local', ageless: true, answerMs: PATIENCE_MS },
    SILENT,
  );
  context.after(() => store.close());
  const draws = [draw('100/s', 5), draw('window 9/h', 5), draw('estimate 9/d', 5), draw('concurrent 5', 5)];
  await until(
    'Redis to answer',
    async () => (await store.draw('t/app', 'a', false, draws).catch(() => undefined)) !== undefined,
  );
  await redis.ask('DEL', 'tulle:quota:mesh.local:{t/app}:here');
  store.leave('t/app', 'a');
  await until(
    'it to have left',
    async () => (await redis.ask('HLEN', 'tulle:quota:mesh.local:{t/app}:members')) === '0',
  );
  const keys = (await redis.ask('KEYS', '*')).split('\n');
  assert.ok(keys.length >= 4, keys.join());
  for (const key of keys) assert.ok(Number(await redis.ask('TTL', key)) > 0, key);
});

test("Redis' clock that goes back a minute makes nothing free, and starves nobody", async (context) => {
  let nowMs = 2_000_000_000;
  const store = await storeBy(context, () => nowMs, 't/app');
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= 100) {
      nowMs += 100;
      store.contact('t/app', [{ name: 'a', told: 0 }]);
    }
  };
  const get = async (algorithm: RateLimit['algorithm'], want: number): Promise<number> => {
    const one = draw('100/s', want, { quota: `t/app#${algorithm}` });
    const draws = [{ ...one, limit: { ...one.limit, algorithm } }];
    return (await store.draw('t/app', 'a', true, draws)).grants[0]?.granted ?? -1;
  };
  await get('token-bucket', 0);
  pass(10_000);
  const algorithms = ['token-bucket', 'sliding-window', 'sliding-estimate'] as const;
  for (const algorithm of algorithms) assert.equal(await get(algorithm, 100), 100, algorithm);
  nowMs -= 60_000;
  for (const algorithm of algorithms) assert.equal(await get(algorithm, 1), 0, algorithm);
  pass(700);
  assert.equal(await get('token-bucket', 71), 0);
  assert.equal(await get('token-bucket', 70), 70);
  pass(1_500);
  for (const algorithm of algorithms) {
    const granted = await get(algorithm, 10);
    assert.equal(granted, 10, `${algorithm} starves`);
  }
});

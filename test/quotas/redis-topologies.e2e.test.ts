import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { draw } from '../../control-plane/quotas/quota-store.contract.fixture.ts';
import type { QuotaStore } from '../../control-plane/quotas/quota-store.ts';
import { openRedisStore, type RedisStoreOptions } from '../../control-plane/quotas/redis-store.ts';
import type { QuotaDraw } from '../../protocol/quotas/memory-quotas.ts';
import { parseStoreAddress } from '../../protocol/quotas/store-address.ts';
import { delayingProxy } from '../fixture/delaying-proxy.ts';
import { redisProcess } from '../fixture/redis.ts';
import {
  mayDoWhatIsDocumented,
  redisCluster,
  redisWithSentinel,
  redisWithTls,
} from '../fixture/redis-topologies.ts';
import { until } from '../fixture/wait.ts';

/** The machine of a test may be busy with others. */
const PATIENCE_MS = 5_000;
const KINDS = ['100/d', 'window 100/d', 'estimate 100/d', 'concurrent 100'];

interface Opened {
  readonly store: QuotaStore;
  /** All that was logged, as JSON. */
  readonly logged: string[];
}

async function opened(
  context: TestContext,
  url: string,
  options: Partial<RedisStoreOptions> = {},
): Promise<Opened> {
  const address = parseStoreAddress(url);
  assert.ok(typeof address !== 'string' && address.kind !== 'memory', String(address));
  const logged: string[] = [];
  const write = (details: object, message: string) =>
    void logged.push(JSON.stringify({ ...details, message }));
  const log = { debug: write, info: write, warn: write, error: write };
  const store = await openRedisStore(
    { address, trustDomain: 'mesh.local', answerMs: PATIENCE_MS, ...options },
    log,
  );
  context.after(() => store.close());
  return { store, logged };
}

async function granted(store: QuotaStore, item: QuotaDraw, service = 't/app'): Promise<number> {
  return (await store.draw(service, 'a', true, [item])).grants[0]?.granted ?? -1;
}

const answers = (store: QuotaStore) =>
  until('Redis to answer', () =>
    store.draw('t/before', 'me', false, []).then(
      () => true,
      () => false,
    ),
  );

/** 100 of each kind, and no more. */
async function keepsQuotas(store: QuotaStore, service = 't/app'): Promise<void> {
  await answers(store);
  for (const text of KINDS) {
    assert.equal(await granted(store, draw(text, 100), service), 100, text);
    const more = await granted(store, draw(text, 101), service);
    assert.equal(more, text.startsWith('concurrent') ? 100 : 0, text);
  }
}

test('a Cluster of three: all quotas of a service are of one slot, services are spread, and all keys expire', async (context) => {
  const nodes = await redisCluster(context);
  const { store } = await opened(context, `redis+cluster://127.0.0.1:${nodes[0]?.port}`, { ageless: true });
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await keepsQuotas(store, `t/${name}`);
  const keys = await Promise.all(nodes.map(async (node) => (await node.ask('KEYS', '*')).split('\n')));
  assert.ok(keys.filter((of) => of.length > 1).length > 1, JSON.stringify(keys));
  for (const [index, of] of keys.entries())
    for (const key of of.filter((name) => name !== '')) {
      assert.match(key, /^tulle:quota:mesh\.local:\{t\/\w+\}:[\w:-]+$/);
      assert.ok(Number(await nodes[index]?.ask('PTTL', key)) > 0, key);
    }
});

test('a node of a Cluster that is silent is an outage of the services that it has, and of no other', async (context) => {
  const nodes = await redisCluster(context);
  for (const node of nodes) await node.ask('CONFIG', 'SET', 'cluster-require-full-coverage', 'no');
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`).join();
  const { store } = await opened(context, `redis+cluster://${hosts}`, { ageless: true, answerMs: 300 });
  const services = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `t/${name}`);
  const one = async (service: string): Promise<number | string> =>
    granted(store, draw('9999/s', 1), service).catch((error: unknown) => String(error));
  for (const service of services) await until('an answer', async () => (await one(service)) === 1);
  const keys = await Promise.all(nodes.map((node) => node.ask('KEYS', '*')));
  const nodeOf = (service: string): number => keys.findIndex((names) => names.includes(`{${service}}`));
  const frozen = nodeOf('t/a');
  nodes[frozen]?.child.kill('SIGSTOP');
  context.after(() => nodes[frozen]?.child.kill('SIGCONT'));
  await until('it to be behind', async () => /in time|closed|no connection/.test(String(await one('t/a'))));
  const others = services.filter((service) => nodeOf(service) !== frozen);
  assert.ok(others.length > 0);
  for (let round = 0; round < 100; round++) {
    const silent = one('t/a');
    const got = await Promise.all(others.map(one));
    assert.ok(
      got.every((answer) => typeof answer === 'number'),
      `round ${round}: ${got}`,
    );
    if (round % 10 === 0) await silent;
  }
  nodes[frozen]?.child.kill('SIGCONT');
  await until('its services too', async () => (await one('t/a')) === 1);
});

test('a user of ACL who may do what is documented and no more, by TLS with a certificate', async (context) => {
  const secured = await redisWithTls(context);
  const { redis, ca, cert, key, user, password } = secured;
  await mayDoWhatIsDocumented(secured);
  const files = {
    ca: readFileSync(ca, 'utf8'),
    cert: readFileSync(cert, 'utf8'),
    key: readFileSync(key, 'utf8'),
  };
  const { store, logged } = await opened(context, `rediss://${user}@127.0.0.1:${redis.port}`, {
    password,
    ageless: true,
    ...files,
  });
  await keepsQuotas(store);
  store.contact('t/app', [{ name: 'a', told: 0 }]);
  store.leave('t/app', 'a');
  await until('places of who left', async () => (await granted(store, draw('concurrent 100', 100))) === 100);
  const told: unknown[] = [];
  store.onAnnounced((service) => told.push(service));
  await until('what is announced to come back', () => {
    store.announce('t/app', []);
    return told.length > 0;
  });
  assert.doesNotMatch(logged.join('\n'), /NOPERM/);
  assert.doesNotMatch(await redis.ask('ACL', 'LOG'), /reason\s+command/);
});

test('a wrong password is an outage, and stands in no log and no message', async (context) => {
  const { redis, ca, cert, key, user } = await redisWithTls(context);
  const files = {
    ca: readFileSync(ca, 'utf8'),
    cert: readFileSync(cert, 'utf8'),
    key: readFileSync(key, 'utf8'),
  };
  const { store, logged } = await opened(context, `rediss://${user}@127.0.0.1:${redis.port}`, {
    password: 'hunter2-wrong',
    ...files,
  });
  await until('the reason', () => /WRONGPASS/.test(store.numbers().outage ?? logged.join()));
  await assert.rejects(() => granted(store, draw('10/d', 1)), { code: 'ERR_QUOTA_OUTAGE' });
  assert.doesNotMatch([...logged, store.numbers().outage].join('\n'), /hunter2/);
});

test('whoever gives certificates for Redis, and an address without TLS, is told that all can be read', async (context) => {
  const redis = await redisProcess(context);
  const { logged } = await opened(context, `redis://127.0.0.1:${redis.port}`, { ca: 'a CA' });
  assert.match(logged.join('\n'), /not encrypted/);
});

test('a Redis that comes back with a backup of before gives nothing that may have been used since', async (context) => {
  const redis = await redisProcess(context);
  const url = `redis://127.0.0.1:${redis.port}`;
  const all = KINDS.filter((text) => !text.startsWith('concurrent')).map((text) => draw(text, 10));
  const grants = async ({ store }: Opened) =>
    (await store.draw('t/app', 'a', false, all)).grants.map(({ granted: count }) => count);
  const before = await opened(context, url, { ageless: true });
  await answers(before.store);
  assert.deepEqual(await grants(before), [10, 10, 10]);
  assert.equal(await redis.ask('SAVE'), 'OK');
  await redis.restart();
  const after = await opened(context, url);
  await answers(after.store);
  for (let tries = 0; tries < 10; tries++) assert.deepEqual(await grants(after), [0, 0, 0]);
});

test('a master without its replicas gives nothing where Redis is told so: another may be the master by now', async (context) => {
  const redis = await redisProcess(context);
  const { store } = await opened(context, `redis://127.0.0.1:${redis.port}`, { ageless: true });
  await answers(store);
  assert.equal(await granted(store, draw('100/d', 10)), 10);
  await redis.ask('CONFIG', 'SET', 'min-replicas-to-write', '1');
  await assert.rejects(() => granted(store, draw('100/d', 10)), { code: 'ERR_QUOTA_OUTAGE' });
  assert.match(store.numbers().outage ?? '', /NOREPLICAS/);
  await redis.ask('CONFIG', 'SET', 'min-replicas-to-write', '0');
  assert.equal(await granted(store, draw('100/d', 10)), 10);
});

test('scripts that Redis has forgotten are sent again', async (context) => {
  const redis = await redisProcess(context);
  const { store } = await opened(context, `redis://127.0.0.1:${redis.port}`, { ageless: true });
  await answers(store);
  assert.equal(await granted(store, draw('100/d', 60)), 60);
  await redis.ask('SCRIPT', 'FLUSH');
  assert.equal(await granted(store, draw('100/d', 40)), 40);
  assert.equal(store.numbers().outage, undefined);
});

test('an empty Redis that took the place of one that was killed gives nothing that may have been used, and fills', async (context) => {
  const redis = await redisProcess(context);
  const { store, logged } = await opened(context, `redis://127.0.0.1:${redis.port}`, { ageless: true });
  await answers(store);
  assert.equal(await granted(store, draw('100/s burst 100', 100)), 100);
  await store.close();
  const aware = await opened(context, `redis://127.0.0.1:${redis.port}`);
  await answers(aware.store);
  await redis.kill();
  await until('the outage', () => aware.store.numbers().outage !== undefined);
  await assert.rejects(() => granted(aware.store, draw('100/s burst 100', 1)), { code: 'ERR_QUOTA_OUTAGE' });
  await redis.restart();
  await answers(aware.store);
  assert.equal(await granted(aware.store, draw('100/s burst 100', 100)), 0);
  assert.equal(await granted(aware.store, draw('window 100/d', 1)), 0);
  await until('it to fill', async () => (await granted(aware.store, draw('100/s burst 100', 10))) === 10);
  assert.ok(aware.store.numbers().outageSeconds > 0);
  assert.ok(
    aware.logged.some((line) => line.includes('Redis answers again')),
    logged.join('\n'),
  );
});

test('a replica that Sentinel makes the master begins an epoch: what it may not know was used', async (context) => {
  const { master, replica, sentinel } = await redisWithSentinel(context);
  const { store } = await opened(context, `redis+sentinel://127.0.0.1:${sentinel.port}/main`);
  await answers(store);
  await until('a bucket', async () => (await granted(store, draw('1000/s burst 50', 50))) === 50);
  await until('a whole bucket, and the replica to know it', async () => {
    const [grant] = (await store.draw('t/app', 'a', false, [draw('1000/s burst 50', 0)])).grants;
    return (
      grant?.resetMs === 0 && (await replica.ask('EXISTS', 'tulle:quota:mesh.local:{t/app}:here')) === '1'
    );
  });
  await master.kill();
  await until('the replica to be asked', async () => {
    const answered = await store
      .draw('t/app', 'a', false, [draw('1000/s burst 50', 50)])
      .catch(() => undefined);
    if (answered === undefined) return false;
    assert.equal(answered.grants[0]?.granted, 0);
    return true;
  });
  assert.match(await replica.ask('ROLE'), /^master/);
  // The Sentinels tell of the new master when it is connected to already: it is connected to once more.
  const again = (): Promise<number> => granted(store, draw('1000/s burst 50', 50)).catch(() => 0);
  await until('it to fill', async () => (await again()) === 50);
});

test('quotas that change are told to the other control planes, and what an attacker publishes is passed over', async (context) => {
  const redis = await redisProcess(context);
  const url = `redis://127.0.0.1:${redis.port}`;
  const [one, other] = [await opened(context, url), await opened(context, url)];
  const told: unknown[] = [];
  other.store.onAnnounced((service, quotas) => told.push({ service, quotas }));
  await answers(one.store);
  const channel = 'tulle:quotas:mesh.local:changed';
  await until('two subscribers', async () => (await redis.ask('PUBSUB', 'NUMSUB', channel)).endsWith('2'));
  const negative = '{"service":"t/app","quotas":[{"quota":"x","tokens":-1,"perMs":1,"burst":1}]}';
  const nothing = negative.replace('-1', '0');
  const tooMany = negative.replace('-1', '1e15');
  for (const wrong of ['{', '[]', 'x'.repeat(100_000), negative, nothing, tooMany])
    await redis.ask('PUBLISH', channel, wrong);
  const quotas = [{ quota: 't/app#token-bucket:1000:', tokens: 5, perMs: 1000, burst: 5 }];
  one.store.announce('t/app', quotas);
  await until('the news', () => told.length > 0);
  assert.deepEqual(told, [{ service: 't/app', quotas }]);
});

test('a Redis that is silent is an outage in time, and is asked again when it goes on', async (context) => {
  const redis = await redisProcess(context);
  const { store } = await opened(context, `redis://127.0.0.1:${redis.port}`, { ageless: true });
  await answers(store);
  await store.close();
  const hasty = await opened(context, `redis://127.0.0.1:${redis.port}`, { ageless: true, answerMs: 30 });
  await answers(hasty.store);
  redis.child.kill('SIGSTOP');
  await assert.rejects(() => granted(hasty.store, draw('100/d', 1)), { code: 'ERR_QUOTA_OUTAGE' });
  assert.notEqual(hasty.store.numbers().outage, undefined);
  redis.child.kill('SIGCONT');
  await answers(hasty.store);
});

test('a network that swallows what is sent is an outage, and when it is back Redis is asked again', async (context) => {
  const redis = await redisProcess(context);
  const proxy = await delayingProxy(redis.port);
  context.after(() => proxy.close());
  const { store } = await opened(context, `redis://127.0.0.1:${proxy.port}`, {
    ageless: true,
    answerMs: 200,
  });
  await answers(store);
  proxy.delayMs = Number.POSITIVE_INFINITY;
  await assert.rejects(() => granted(store, draw('100/d', 1)), { code: 'ERR_QUOTA_OUTAGE' });
  await until('it to be connected anew, in vain', async () => {
    await store.draw('t/app', 'a', false, []).catch(() => undefined);
    return proxy.connections > 2;
  });
  proxy.delayMs = 0;
  await answers(store);
});

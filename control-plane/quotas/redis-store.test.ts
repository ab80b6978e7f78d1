import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { parseStoreAddress } from '../../protocol/quotas/store-address.ts';
import { FaultProxy } from '../../test/chaos/fault-proxy.ts';
import { redisProcess } from '../../test/fixture/redis.ts';
import { until } from '../../test/fixture/wait.ts';
import { draw, storeContract } from './quota-store.contract.fixture.ts';
import type { QuotaStore } from './quota-store.ts';
import { openRedisStore, type RedisStoreOptions } from './redis-store.ts';

/** The machine of a test may be busy with others. */
const PATIENCE_MS = 5_000;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

async function storeOf(
  context: TestContext,
  url: string,
  options: Partial<RedisStoreOptions> = {},
): Promise<QuotaStore> {
  const address = parseStoreAddress(url);
  assert.ok(typeof address !== 'string' && address.kind !== 'memory', String(address));
  const store = await openRedisStore(
    { address, trustDomain: 'mesh.local', ageless: true, answerMs: PATIENCE_MS, ...options },
    SILENT,
  );
  context.after(() => store.close());
  await until(
    'Redis to answer',
    async () => (await store.draw('t/before', 'me', false, []).catch(() => undefined)) !== undefined,
  );
  return store;
}

storeContract('Redis', async (context) =>
  storeOf(context, `redis://${(await redisProcess(context)).address}`),
);

test('a Redis that forgot, and is asked only later, gives nothing at once: sidecars may be on their shares until then', async (context) => {
  const redis = await redisProcess(context);
  // Longer than the grace: all control planes were away meanwhile.
  await until('Redis to be older', async () =>
    /uptime_in_seconds:[3-9]/.test(await redis.ask('INFO', 'server')),
  );
  const store = await storeOf(context, `redis://${redis.address}`, { ageless: false });
  const { grants } = await store.draw('t/app', 'a', false, [draw('100/s burst 100', 50)]);
  assert.equal(grants[0]?.granted, 0);
  await until('its bucket to fill', async () => {
    const later = await store.draw('t/app', 'a', false, [draw('100/s burst 100', 50)]);
    return (later.grants[0]?.granted ?? 0) > 0;
  });
});

/** Waits until `listening` hears one more time what `speaking` says again and again. */
function news(listening: QuotaStore, speaking: QuotaStore): () => Promise<void> {
  let heard = 0;
  listening.onAnnounced(() => heard++);
  return () => {
    const before = heard;
    return until('news', () => {
      speaking.announce('t/app', [{ quota: 't/app#0', tokens: 5, perMs: 1_000, burst: 5 }]);
      return heard > before;
    });
  };
}

test('a connection that only listens, and whose other side is gone without a word, is given up: news come again', async (context) => {
  const redis = await redisProcess(context);
  const link = await FaultProxy.open(() => redis.address);
  context.after(() => link.close());
  const listening = await storeOf(context, `redis://${link.address}`);
  const speaking = await storeOf(context, `redis://${redis.address}`);
  const more = news(listening, speaking);
  await more();
  link.cut();
  // Nobody draws here, so that nothing else notices it.
  await more();
});

test('a Redis that answers the handshake when it was given up already ends no control plane: news come again', async (context) => {
  const redis = await redisProcess(context);
  const link = await holdingLink(context, redis.port);
  const listening = await storeOf(context, `redis://127.0.0.1:${link.port}`);
  const speaking = await storeOf(context, `redis://${redis.address}`);
  const more = news(listening, speaking);
  await more();
  link.holds = true;
  link.drop();
  await until('a handshake that was given up', () => link.late > 0);
  link.holds = false;
  await more();
});

/** While it `holds`, the last answer of a handshake passes only when the client has ended its side. */
async function holdingLink(context: TestContext, port: number) {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect(port, '127.0.0.1');
    let held: Buffer | undefined;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    near.on('data', (bytes) => far.write(bytes));
    far.on('data', (bytes: Buffer) => {
      if (link.holds && bytes.includes('redis_version')) held = bytes;
      else near.write(bytes);
    });
    near.on('end', () => {
      if (held === undefined) return near.destroy();
      near.end(held);
      link.late++;
      return undefined;
    });
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  context.after(() => {
    drop();
    server.close();
  });
  const bound = server.address();
  const link = {
    port: bound !== null && typeof bound === 'object' ? bound.port : 0,
    holds: false,
    /** Answers that came after the client had given up. */
    late: 0,
    drop,
  };
  return link;
}

test('Redis: draws that come together are one command, and each gets what it would have got by itself', async (context) => {
  const store = await storeOf(context, `redis://${(await redisProcess(context)).address}`);
  await store.draw('t/app', 'first', false, []);
  const before = store.numbers().commands;
  const draws = ['a', 'b', 'c', 'd', 'e'].map((member) =>
    store.draw('t/app', member, false, [draw('10/d', 3), draw('100/d', 1, { subject: member })]),
  );
  const exact = store.draw('t/app', 'a', true, [draw('5/d exact', 2)]);
  const answers = await Promise.all([...draws, exact]);
  assert.deepEqual(
    answers.map(({ grants }) => grants.map(({ granted }) => granted)),
    [[3, 1], [3, 1], [1, 1], [1, 1], [1, 1], [2]],
  );
  const sent = store.numbers().commands - before;
  assert.ok(sent <= 3, `${sent} commands`);
});

test('Redis: a mesh of another name shares neither quotas nor news, though its services are called the same', async (context) => {
  const url = `redis://${(await redisProcess(context)).address}`;
  const one = await storeOf(context, url);
  const other = await storeOf(context, url, { trustDomain: 'other.test' });
  const all = [draw('100/d', 100)];
  for (const store of [one, other]) {
    const { grants } = await store.draw('t/app', 'a', false, all);
    assert.equal(grants[0]?.granted, 100);
  }
  const heard: string[] = [];
  const tells = (store: QuotaStore, tokens: number) => {
    store.onAnnounced((_service, quotas) => heard.push(`${tokens} of ${quotas[0]?.tokens}`));
    return () => store.announce('t/app', [{ quota: 't/app#0', tokens, perMs: 1_000, burst: 5 }]);
  };
  const both = [tells(one, 1), tells(other, 2)];
  await until('news of both', () => {
    for (const tell of both) tell();
    return new Set(heard).size >= 2;
  });
  assert.deepEqual(new Set(heard), new Set(['1 of 1', '2 of 2']));
});

test('Redis: who waits for a store that is closed is told so', async (context) => {
  const store = await storeOf(context, `redis://${(await redisProcess(context)).address}`);
  const ask = () => store.draw('t/app', 'a', false, [draw('10/d', 3)]);
  const sent = ask().catch(() => undefined);
  const waits = assert.rejects(ask, { code: 'ERR_QUOTA_OUTAGE' });
  await store.close();
  await waits;
  await sent;
});

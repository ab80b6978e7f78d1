import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { parseStoreAddress } from '../../protocol/quotas/store-address.ts';
import { redisProcess } from '../../test/fixture/redis.ts';
import { until } from '../../test/fixture/wait.ts';
import { storeContract } from './quota-store.contract.fixture.ts';
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
  const store = await openRedisStore({ address, ageless: true, answerMs: PATIENCE_MS, ...options }, SILENT);
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

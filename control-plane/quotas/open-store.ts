import type { StoreAddress } from '../../protocol/quotas/store-address.ts';
import type { Log } from '../log.ts';
import { type MemoryStoreOptions, openMemoryStore } from './memory-store.ts';
import type { QuotaStore } from './quota-store.ts';
import type { RedisSettings } from './redis-connection.ts';

/** What Redis is opened with, besides its address. */
export type RedisSecrets = Omit<RedisSettings, 'address'>;

/** Opens the store of a mesh at an address. Redis need not be there yet; its client is loaded only if it is asked for. */
export async function openQuotaStore(
  address: StoreAddress,
  trustDomain: string,
  redis: RedisSecrets,
  memory: MemoryStoreOptions,
  log: Log,
): Promise<QuotaStore> {
  if (address.kind === 'memory') return openMemoryStore(memory);
  const { openRedisStore } = await import('./redis-store.ts');
  return openRedisStore({ address, trustDomain, ...redis }, log);
}

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseStoreAddress } from '../protocol/quotas/store-address.ts';
import { openAuthority } from './authority/authority.ts';
import { openControlServer } from './distribution/server.ts';
import type { Log } from './log.ts';
import { openQuotaStore, type RedisSecrets } from './quotas/open-store.ts';
import type { QuotaStore } from './quotas/quota-store.ts';
import { type FileRegistry, openFileRegistry } from './registry/file-registry.ts';

export interface ControlPlaneOptions {
  /** The mesh.yaml to serve. */
  readonly meshFile: string;
  /** Where the authority keeps its key. */
  readonly stateDir: string;
  /** HOST:PORT; port 0 lets the kernel choose. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Life of certificates, in ms. */
  readonly leafLifeMs?: number;
  /** If the mesh file says that quotas are in Redis. */
  readonly redis?: RedisSecrets;
  readonly log: Log;
}

export interface RunningControlPlane {
  readonly address: string;
  /** Trusted roots, for those who start sidecars. */
  readonly bundleFile: string;
  close(): Promise<void>;
}

/** Starts a control plane: registry, authority, distribution. Throws an Error that names what cannot be used. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<RunningControlPlane> {
  const { meshFile, stateDir, listen, leafLifeMs, redis = {}, log } = options;
  const registry = openFileRegistry(meshFile, log);
  try {
    const authority = await openAuthority(stateDir, {
      trustDomain: registry.trustDomain,
      ...(leafLifeMs !== undefined && { leafLifeMs }),
    });
    try {
      const quotas = await openQuotas(registry, stateDir, redis, log);
      const server = await openControlServer(listen, authority, registry, log, { quotas }).catch(
        async (error: unknown) => {
          await quotas.close();
          throw error;
        },
      );
      return {
        address: server.address,
        bundleFile: authority.bundleFile,
        async close() {
          await server.close();
          await quotas.close();
          registry.close();
          authority.close();
        },
      };
    } catch (error) {
      authority.close();
      throw error;
    }
  } catch (error) {
    registry.close();
    throw error;
  }
}

async function openQuotas(
  { quotaStore, trustDomain }: FileRegistry,
  stateDir: string,
  redis: RedisSecrets,
  log: Log,
): Promise<QuotaStore> {
  const address = parseStoreAddress(quotaStore);
  if (typeof address === 'string') throw new Error(`quotas.store ${address}`);
  const memory =
    address.kind === 'memory' && isFirstStart(stateDir) ? { bornMs: Number.NEGATIVE_INFINITY } : {};
  return openQuotaStore(address, trustDomain, redis, memory, log);
}

/** Nobody can have used anything of a quota before: all of each is there. Later starts begin with nothing saved up. */
function isFirstStart(stateDir: string): boolean {
  try {
    writeFileSync(join(stateDir, 'quotas-began'), '', { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

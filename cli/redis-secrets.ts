import { readFileSync } from 'node:fs';
import type { RedisSecrets } from '../control-plane/quotas/open-store.ts';

export interface RedisFlags {
  redisPasswordFile?: string;
  redisSentinelPasswordFile?: string;
  redisCaFile?: string;
  redisCertFile?: string;
  redisKeyFile?: string;
}

/** What is needed to get into Redis: of files, or of the environment. Throws an Error that names the file. */
export function redisSecrets(flags: RedisFlags, env: NodeJS.ProcessEnv = process.env): RedisSecrets {
  // A Secret that was made with `echo` ends with a line end, also where it becomes a variable.
  const password =
    secret('--redis-password-file', flags.redisPasswordFile) ?? env.TULLE_REDIS_PASSWORD?.trim();
  const sentinelPassword =
    secret('--redis-sentinel-password-file', flags.redisSentinelPasswordFile) ??
    env.TULLE_REDIS_SENTINEL_PASSWORD?.trim();
  const ca = secret('--redis-ca-file', flags.redisCaFile) ?? env.TULLE_REDIS_CA;
  const cert = secret('--redis-cert-file', flags.redisCertFile);
  const key = secret('--redis-key-file', flags.redisKeyFile);
  return {
    ...(password !== undefined && password !== '' && { password }),
    ...(sentinelPassword !== undefined && sentinelPassword !== '' && { sentinelPassword }),
    ...(ca !== undefined && ca !== '' && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

function secret(flag: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Error(
      `${flag} ${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`,
    );
  }
  if (text === '') throw new Error(`${flag} ${file} is empty`);
  return text;
}

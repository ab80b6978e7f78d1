import type { ServiceKey } from '../service.ts';
import type { RateLimit } from '../traffic-policy.ts';

/**
 * Names of a service's quotas, one for each limit in its order: `shop/orders#token-bucket:1000:client`. A limit whose
 * numbers change keeps its name, and with it what was used of it.
 */
export function quotaIds(service: ServiceKey, limits: readonly RateLimit[]): string[] {
  const seen = new Map<string, number>();
  return limits.map(({ algorithm, perMs, by }) => {
    const name = `${service}#${algorithm}:${perMs}:${by.join('+')}`;
    const before = seen.get(name) ?? 0;
    seen.set(name, before + 1);
    return before === 0 ? name : `${name}:${before + 1}`;
  });
}

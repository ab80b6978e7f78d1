import { MemoryQuotas, type QuotaDraw } from '../../protocol/quotas/memory-quotas.ts';
import { GRACE_MS } from '../../protocol/quotas/presence.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import type { QuotaStore } from './quota-store.ts';

export interface MemoryStoreOptions {
  /** A clock that never goes back, in ms. */
  readonly now?: () => number;
  /** Before it, all quotas may have been used, in ms of that clock. */
  readonly bornMs?: number;
  /** So many control planes count apart, each its part of every quota. */
  readonly parts?: number;
}

/**
 * Quotas in the memory of this process. It begins without memory: what sidecars used before a restart is not known, so
 * nothing is saved up at the start.
 */
export function openMemoryStore({
  now = () => performance.now(),
  bornMs,
  parts = 1,
}: MemoryStoreOptions = {}): QuotaStore {
  const quotas = new MemoryQuotas({ now, bornMs: bornMs ?? now() + GRACE_MS });
  const partOf = parts === 1 ? undefined : partsOf(parts);
  let draws = 0;
  return {
    draw(service, member, exact, items, told = 0, sharing = false) {
      draws++;
      if (partOf === undefined)
        return Promise.resolve(quotas.draw(service, member, exact, items, told, sharing));
      const own = items.map((item): QuotaDraw => ({ ...item, limit: partOf(item.limit) }));
      const { atMs, grants } = quotas.draw(service, member, exact, own, Math.ceil(told / parts), sharing);
      // As many may draw at each of the others.
      return Promise.resolve({
        atMs,
        grants: grants.map((grant) => ({ ...grant, sharers: grant.sharers * parts })),
      });
    },
    contact: (service, members) =>
      quotas.contact(
        service,
        members.map(({ name, told }) => ({ name, told: Math.ceil(told / parts) })),
      ),
    leave: (service, member) => quotas.leave(service, member),
    // What other control planes know is not asked for.
    announce() {},
    onAnnounced() {},
    numbers: () => ({
      kind: 'memory',
      outage: undefined,
      outageSeconds: 0,
      commands: 0,
      drawSeconds: 0,
      drawsTimed: draws,
    }),
    close: () => Promise.resolve(),
  };
}

/** One of `parts` of each limit; of a count that is smaller than `parts` nothing is left. */
function partsOf(parts: number): (limit: RateLimit) => RateLimit {
  const known = new WeakMap<RateLimit, RateLimit>();
  return (limit) => {
    const before = known.get(limit);
    if (before !== undefined) return before;
    const rate = limit.algorithm === 'token-bucket';
    const part = {
      ...limit,
      tokens: rate ? limit.tokens / parts : Math.floor(limit.tokens / parts),
      burst: Math.floor(limit.burst / parts),
    };
    known.set(limit, part);
    return part;
  };
}

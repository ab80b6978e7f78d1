import type { RouteRule } from '../../protocol/route.ts';
import type { Cluster } from '../balancing/cluster.ts';
import type { LocalAnswer } from '../exchange.ts';
import type { RetryBudget } from '../filters/retry-budget.ts';
import type { Pending } from './plan.ts';
import type { RunningServices } from './services.ts';

/** Who gets copies of a rule's requests. */
export interface Mirror {
  readonly service: string;
  /** From 0 to 1. */
  readonly share: number;
  backend(): Cluster | Pending | LocalAnswer;
  /** Of the service. */
  retryBudget(): RetryBudget;
}

/** The mirrors of a rule that can be used; undefined: none. They are followed from now on. */
export function mirrorsOf(
  { mirrors = [] }: RouteRule,
  services: RunningServices,
): readonly Mirror[] | undefined {
  const usable = mirrors
    .filter(({ invalid, share }) => invalid === undefined && share > 0)
    .map(({ service, share }) => {
      const used = () => services.use(service, performance.now());
      return { service, share, backend: () => used().backend(), retryBudget: () => used().retryBudget };
    });
  for (const { backend } of usable) backend();
  return usable.length === 0 ? undefined : usable;
}

import type { TrafficSettings } from '../../protocol/traffic-policy.ts';
import type { Cluster } from '../balancing/cluster.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { FilterChain } from '../filters/filter.ts';
import type { RetryBudget } from '../filters/retry-budget.ts';
import type { Mirror } from './mirrors.ts';

/** What the route of a request decided, compiled when the configuration came. */
export interface Plan {
  /** Name of the route, '' for a service's default. */
  readonly route: string;
  readonly why: string;
  readonly service: string;
  readonly settings: TrafficSettings;
  readonly retryBudget: RetryBudget;
  /** Where requests go to several services, that of one of them; absent: it is always the same. */
  budgetOf?(service: string): RetryBudget | undefined;
  readonly chain: FilterChain;
  /** What of it judges opaque connections as if each was a request; absent: nothing. */
  readonly connectionChain?: FilterChain;
  /** Whole time for a request and for one attempt in ms; 0: no limit. */
  readonly timeoutMs: number;
  readonly tryTimeoutMs: number;
  /** Who gets copies of requests; absent: nobody. */
  readonly mirrors?: readonly Mirror[];
  /** How long to wait before another attempt; absent: not at all. */
  readonly backoffMs?: number;
  /**
   * Where to send this request: chosen anew for each request by weight, and told to its exchange. A wait while it is
   * not known, an answer when nothing can be chosen.
   */
  backend(exchange?: Exchange): Cluster | Pending | LocalAnswer;
}

/** The backend is not known yet: the request waits until `ready` calls back. */
export interface Pending {
  /** Calls `proceed` once the configuration is there or it is known not to come. Returns a canceller. */
  wait(proceed: () => void): () => void;
}

/** What bounds retries of the requests of a plan that go to `service`. */
export function retryBudgetOf(plan: Plan, service: string): RetryBudget {
  return plan.budgetOf?.(service) ?? plan.retryBudget;
}

export function isAnswer(value: object): value is LocalAnswer {
  return 'code' in value;
}

export function isPending(value: object): value is Pending {
  return 'wait' in value;
}

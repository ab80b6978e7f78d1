import type { Cluster } from '../balancing/cluster.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import { type Filter, LATER } from '../filters/filter.ts';
import { isAnswer, isPending, type Pending, type Plan } from './plan.ts';

/** A request that waits for what the limits of its backend say. */
interface Waiting {
  readonly cluster: Cluster;
  settled: boolean;
  answer: LocalAnswer | undefined;
  proceed: () => void;
}

/**
 * The plan of a gateway's rule, with the rate limits of its backends: which of them holds is known when a backend is
 * chosen. `limiters`: by service.
 */
export function limitedPlan(plan: Plan, limiters: ReadonlyMap<string, Filter>): Plan {
  const [first] = limiters.values();
  if (first === undefined) return plan;
  const waiting = new WeakMap<Exchange, Waiting>();
  const backend = (exchange?: Exchange): Cluster | Pending | LocalAnswer => {
    if (exchange === undefined) return plan.backend();
    const judged = waiting.get(exchange);
    if (judged?.settled) {
      waiting.delete(exchange);
      return judged.answer ?? judged.cluster;
    }
    const cluster = plan.backend(exchange);
    if (isPending(cluster) || isAnswer(cluster)) return cluster;
    const limiter = limiters.get(cluster.service);
    if (limiter === undefined) return cluster;
    exchange.service = cluster.service;
    return judge(limiter, cluster, exchange, waiting);
  };
  const { onEnd = () => {} } = first;
  return { ...plan, backend, chain: { ...plan.chain, onEnd: [...plan.chain.onEnd, { onEnd }] } };
}

function judge(
  limiter: Filter,
  cluster: Cluster,
  exchange: Exchange,
  waiting: WeakMap<Exchange, Waiting>,
): Cluster | Pending | LocalAnswer {
  const one: Waiting = { cluster, settled: false, answer: undefined, proceed() {} };
  const settle = (answer?: LocalAnswer): void => {
    one.settled = true;
    one.answer = answer;
    one.proceed();
  };
  const verdict = limiter.onRequest?.(exchange, { resume: () => settle(), answer: settle });
  if (verdict !== LATER) return verdict ?? cluster;
  waiting.set(exchange, one);
  return {
    wait(proceed) {
      one.proceed = proceed;
      return () => {
        one.proceed = () => {};
        waiting.delete(exchange);
      };
    },
  };
}

import { RetryBudget } from '../../sidecar/filters/retry-budget.ts';

/** How hops treat a failure of the hop below. */
export interface Rules {
  readonly name: string;
  /** Retries a hop makes of one request at most. */
  readonly attempts: number;
  /** Share of the requests that retries may add; undefined: no budget. */
  readonly budget?: { readonly ratio: number; readonly perSecond: number };
  /** A hop says that it has retried, and nobody above does so again. */
  readonly marks: boolean;
}

export interface Outcome {
  /** Requests that came to each hop for each that was made at the top; hop 1 first. */
  readonly load: readonly number[];
  /** The share of requests at the top that succeeded. */
  readonly succeeded: number;
}

export interface Chain {
  /** Services one behind the other; each calls the next once for a request of its own. */
  readonly depth: number;
  readonly requests: number;
  readonly perSecond: number;
  /** The chance that hop `hop` (from 1) fails a request by itself. */
  readonly fails: (hop: number) => number;
}

/** Runs requests through a chain of sidecars with the retry budget of the product, in a time of its own. */
export function simulate(chain: Chain, rules: Rules, random: () => number): Outcome {
  const load = new Array<number>(chain.depth).fill(0);
  const budgets = load.map(() => budgetOf(rules));
  let succeeded = 0;
  let nowMs = 0;

  /** What hop `hop` answers. `final`: it says that nobody is to try again. */
  const serve = (hop: number): { ok: boolean; final: boolean } => {
    load[hop - 1] = (load[hop - 1] ?? 0) + 1;
    const below = hop < chain.depth ? call(hop) : { ok: true, final: false };
    const ok = below.ok && random() >= chain.fails(hop);
    return { ok, final: !below.ok && below.final };
  };

  /** The sidecar of hop `hop` calls the next. */
  const call = (hop: number): { ok: boolean; final: boolean } => {
    const budget = budgets[hop];
    budget?.countRequest(nowMs);
    for (let retry = 0; ; retry++) {
      const answer = serve(hop + 1);
      if (answer.ok || (rules.marks && answer.final)) return answer;
      if (retry === rules.attempts || budget?.tryRetry(nowMs) === false) return { ok: false, final: true };
    }
  };

  for (let request = 0; request < chain.requests; request++) {
    nowMs += 1000 / chain.perSecond;
    if (call(0).ok) succeeded++;
  }
  return { load: load.map((count) => count / chain.requests), succeeded: succeeded / chain.requests };
}

function budgetOf({ budget }: Rules): RetryBudget | undefined {
  if (budget === undefined) return undefined;
  const made = new RetryBudget();
  made.limit(budget.ratio, budget.perSecond);
  return made;
}

import { setImmediate as turn } from 'node:timers/promises';
import { limitsOf } from '../../protocol/quotas/limits.fixture.ts';
import type { DrawRequest, QuotaReply } from '../../protocol/quotas/messages.ts';
import { Exchange } from '../../sidecar/exchange.ts';
import type { ExchangeControl } from '../../sidecar/filters/filter.ts';
import { rateLimit } from '../../sidecar/filters/rate-limit.ts';
import { Head } from '../../sidecar/http1/head.ts';
import { DrawnQuotas } from '../../sidecar/quotas/drawn-quotas.ts';
import type { QuotaLink } from '../../sidecar/quotas/quota-link.ts';

/** What a decision about a request costs whose tokens were drawn before, in ns. */
export interface QuotaDecisionReport {
  readonly limits: string;
  readonly p50Ns: number;
  readonly p99Ns: number;
  /** Requests of the measured ones for which the store had to be asked. */
  readonly waited: number;
}

const SAMPLES = 100_000;
/** Requests that come in one turn of the event loop. */
const AT_ONCE = 50;
const CALLERS = 10;

/** A store that has all that is asked for, and answers in the next turn. */
function generousLink(): QuotaLink {
  let tell: (reply: QuotaReply) => void = () => {};
  const answer = ({ id, items }: DrawRequest): void => {
    const usual = { lifeMs: 100, retryAfterMs: 0, remaining: 1e6, resetMs: 1000, sharers: 3 };
    const grants = items.map(({ quota, subject, want }) => ({ quota, subject, granted: want, ...usual }));
    tell({ type: 'grants', id, grants });
  };
  return {
    open: true,
    send: (request) => void setImmediate(() => answer(request)),
    onReply(listener) {
      tell = listener;
    },
    onChange() {},
    close() {},
  };
}

/**
 * Times what the filter decides about a request, in this process: subjects, leases, notes and the `RateLimit` field. Reading
 * the clock is in the time. Throws when the store grants nothing.
 */
export async function measureQuotaDecision(limits: string): Promise<QuotaDecisionReport> {
  const source = new DrawnQuotas(generousLink);
  const filter = rateLimit('bench/orders', limitsOf(limits), source);
  const control: ExchangeControl = {
    resume() {},
    answer: ({ detail }) => {
      throw new Error(detail);
    },
  };
  const head = new Head(0);
  const exchanges = Array.from({ length: CALLERS }, (_, caller) => {
    const exchange = new Exchange('inbound', head);
    exchange.peer = `shop/caller-${caller}`;
    return exchange;
  });
  const times = new Float64Array(SAMPLES);
  let [samples, waited, next] = [0, 0, 0];
  const decide = (measured: boolean): void => {
    const exchange = exchanges[next++ % CALLERS] as Exchange; // a remainder is an index
    exchange.begin(head, 0);
    const start = process.hrtime.bigint();
    const verdict = filter.onRequest?.(exchange, control);
    const ns = Number(process.hrtime.bigint() - start);
    filter.onEnd?.(exchange);
    if (!measured) return;
    if (verdict === undefined) times[samples++] = ns;
    else waited++;
  };
  for (let warm = 0; warm < SAMPLES; warm += AT_ONCE) {
    for (let one = 0; one < AT_ONCE; one++) decide(false);
    await turn();
  }
  while (samples < SAMPLES) {
    for (let one = 0; one < AT_ONCE && samples < SAMPLES; one++) decide(true);
    await turn();
  }
  source.close();
  times.sort();
  const at = (share: number): number => times[Math.floor(SAMPLES * share)] ?? 0;
  return { limits, p50Ns: at(0.5), p99Ns: at(0.99), waited };
}

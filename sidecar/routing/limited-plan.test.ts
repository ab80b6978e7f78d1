import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import type { Cluster } from '../balancing/cluster.ts';
import type { LocalAnswer } from '../exchange.ts';
import { composeChain, type ExchangeControl, type Filter, LATER } from '../filters/filter.ts';
import { RetryBudget } from '../filters/retry-budget.ts';
import { limitedPlan } from './limited-plan.ts';
import { isPending, type Plan } from './plan.ts';

const REFUSED: LocalAnswer = { status: 429, code: 'rate-limited', detail: 'used up' };

/** A plan that sends to a limited service and another by turns, and a limiter that decides when the test says so. */
function limited() {
  const clusters = ['t/limited', 't/other'].map((service) => ({ service }) as Cluster);
  let turn = 0;
  const plan: Plan = {
    route: '',
    why: '',
    service: 't/limited',
    settings: DEFAULT_SETTINGS,
    retryBudget: new RetryBudget(),
    chain: composeChain([]),
    timeoutMs: 0,
    tryTimeoutMs: 0,
    backend: () => clusters[turn++ % 2] as Cluster,
  };
  const controls: ExchangeControl[] = [];
  const ended: unknown[] = [];
  const limiter: Filter = {
    name: 'rate-limit',
    onRequest(_exchange, control) {
      controls.push(control);
      return LATER;
    },
    onEnd: (exchange) => void ended.push(exchange),
  };
  return {
    plan: limitedPlan(plan, new Map([['t/limited', limiter]])),
    clusters,
    controls,
    ended,
    bare: plan,
  };
}

test('without limits a plan stays what it is', () => {
  const { bare } = limited();
  assert.equal(limitedPlan(bare, new Map()), bare);
});

test('a request waits for the limits of the backend that was chosen, and goes to that one', () => {
  const { plan, clusters, controls } = limited();
  const exchange = exchangeFor();
  const pending = plan.backend(exchange);
  assert.ok(isPending(pending));
  let proceeded = 0;
  pending.wait(() => void proceeded++);
  assert.equal(plan.backend(exchangeFor()), clusters[1]);
  controls[0]?.resume();
  assert.equal(proceeded, 1);
  assert.equal(plan.backend(exchange), clusters[0]);
  assert.equal(controls.length, 1);
});

test('a refusal is the answer', () => {
  const { plan, controls } = limited();
  const exchange = exchangeFor();
  const pending = plan.backend(exchange);
  assert.ok(isPending(pending));
  pending.wait(() => {});
  controls[0]?.answer(REFUSED);
  assert.equal(plan.backend(exchange), REFUSED);
});

test('who leaves meanwhile is not called back, and what it holds is let go', () => {
  const { plan, controls, ended } = limited();
  const exchange = exchangeFor();
  const pending = plan.backend(exchange);
  assert.ok(isPending(pending));
  const cancel = pending.wait(() => assert.fail('called back'));
  cancel();
  controls[0]?.resume();
  for (const filter of plan.chain.onEnd) filter.onEnd(exchange);
  assert.deepEqual(ended, [exchange]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitsOf } from '../../protocol/quotas/limits.fixture.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import type { LocalAnswer } from '../exchange.ts';
import { LocalQuotas } from '../quotas/local-quotas.ts';
import { toldQuotas } from '../quotas/told-link.fixture.ts';
import { type ExchangeControl, type Filter, LATER } from './filter.ts';
import { unlessProbe } from './probe.ts';
import { rateLimit } from './rate-limit.ts';

const unused: ExchangeControl = {
  resume: () => assert.fail('resumed'),
  answer: () => assert.fail('answered'),
};

function request(filter: Filter | undefined, exchange = exchangeFor(), control = unused) {
  return filter?.onRequest?.(exchange, control);
}

test('probes of the kubelet use nothing up, and places come back under them too', () => {
  const limited = rateLimit('t/app', limitsOf('concurrent 1'), new LocalQuotas());
  const [filter] = unlessProbe([{ kind: 'http', path: '/healthz', query: '' }], [limited]);
  assert.equal(request(filter, exchangeFor('/healthz')), undefined);
  const first = exchangeFor();
  assert.equal(request(filter, first), undefined);
  assert.equal(request(filter, exchangeFor('/healthz')), undefined);
  assert.equal((request(filter) as LocalAnswer).code, 'rate-limited');
  filter?.onEnd?.(first);
  assert.equal(request(filter), undefined);
});

test('a request that waits goes on with its answer; one whose client is gone is not touched again', (context) => {
  const told = toldQuotas(context);
  const filter = rateLimit('shop/orders', limitsOf('100/s'), told.source);
  let resumed = 0;
  const control = { ...unused, resume: () => void resumed++ };
  const [waiting, gone] = [exchangeFor(), exchangeFor()];
  assert.equal(request(filter, waiting, control), LATER);
  assert.equal(request(filter, gone), LATER);
  filter.onEnd?.(gone);
  told.pass();
  told.grant(() => ({ granted: 2 }));
  assert.equal(resumed, 1);
  assert.match(waiting.responseFields, /^ratelimit: "all";r=\d+;t=1\r\n$/);
  assert.deepEqual(
    waiting.policies.map(({ decision, detail }) => `${decision} ${detail}`),
    ['admitted 100/s of shop/orders'],
  );
  assert.equal(waiting.held?.length, 0);
});

test('a request that waits is answered when there is nothing', (context) => {
  const told = toldQuotas(context);
  const filter = rateLimit('shop/orders', limitsOf('100/s; 5/h by path'), told.source);
  const answers: LocalAnswer[] = [];
  const control = { ...unused, answer: (answer: LocalAnswer) => void answers.push(answer) };
  request(filter, exchangeFor('/a'), control);
  told.pass();
  told.grant(({ quota }) => (quota.endsWith('path') ? { granted: 0, retryAfterMs: 90_000 } : { granted: 1 }));
  const [answer] = answers;
  assert.equal(answer?.status, 429);
  assert.match(answer?.fields ?? '', /ratelimit: "path";r=0;t=90\r\nretry-after: 90\r\n$/);
  assert.match(answer?.fields ?? '', /^ratelimit-policy: "all";q=100;w=1, "path";q=5;w=3600\r\n/);
});

test('while the store is away the answer and the explanation say so', (context) => {
  const told = toldQuotas(context);
  const filter = rateLimit('shop/orders', limitsOf('100/s on-outage deny'), told.source);
  const answers: LocalAnswer[] = [];
  const control = { ...unused, answer: (answer: LocalAnswer) => void answers.push(answer) };
  const exchange = exchangeFor();
  request(filter, exchange, control);
  told.pass();
  told.reply({ type: 'outage', id: told.unanswered.shift() ?? -1, detail: 'Redis does not answer' });
  const words =
    '100/s of shop/orders (tulle.dev/rate-limit) lets nobody more in now: Redis does not answer, and on-outage is deny';
  assert.equal(answers[0]?.detail, words);
  assert.deepEqual(exchange.policies, [{ policy: 'rate-limit', decision: 'refused', detail: words }]);
  const [quota] = told.source.all();
  assert.deepEqual([quota?.numbers.refused, quota?.numbers.outage], [1, 1]);
});

test('a dry run never waits, and counts what the store says later; who is still there is told it in the explanation', (context) => {
  const told = toldQuotas(context);
  const filter = rateLimit('shop/orders', limitsOf('100/s dry-run'), told.source);
  const [first, second, third] = [exchangeFor(), exchangeFor(), exchangeFor()];
  for (const exchange of [first, second, third]) assert.equal(request(filter, exchange), undefined);
  filter.onEnd?.(third);
  told.pass();
  told.grant(() => ({ granted: 1 }));
  told.pass();
  told.grant(() => ({ granted: 0, retryAfterMs: 10 }));
  const [quota] = told.source.all();
  assert.deepEqual([quota?.numbers.admitted, quota?.numbers.dryRun], [1, 2]);
  const detail = '100/s of shop/orders is used up (dry-run)';
  assert.deepEqual(second.policies, [{ policy: 'rate-limit', decision: 'would refuse', detail }]);
  for (const { policies } of [first, third])
    assert.deepEqual(policies, [], 'it may be of another request by now');
});

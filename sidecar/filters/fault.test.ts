import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '../../protocol/steering.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { seeded } from '../../test/fixture/seeded.ts';
import { fault } from './fault.ts';
import { LATER } from './filter.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

function ran(one: Fault, lines: string[] = [], drawn = 0.25) {
  const exchange = exchangeFor('/', lines);
  exchange.routeWhy = 'HTTPRoute t/r rule 1: every request';
  const verdict = fault(one, () => drawn).onRequest?.(exchange, unused);
  return { exchange, verdict };
}

test('a share of the requests is aborted, and explained', () => {
  const one = { share: 0.5, abort: { status: 503, grpcStatus: 14 } };
  const { exchange, verdict } = ran(one);
  assert.deepEqual(verdict, {
    status: 503,
    grpcStatus: 14,
    code: 'fault-abort',
    detail: 'aborted on purpose, as 50% of requests are: HTTPRoute t/r rule 1: every request',
  });
  assert.deepEqual(exchange.policies, [
    { policy: 'fault', decision: 'aborted', detail: 'on purpose, as 50% of requests are' },
  ]);
  const spared = ran(one, [], 0.5);
  assert.deepEqual([spared.verdict, spared.exchange.policies], [undefined, []]);
});

test('a delay holds the request back for its time', () => {
  const { exchange, verdict } = ran({ share: 1, delayMs: 200 }, [], 0.999);
  assert.deepEqual([verdict, exchange.holdMs, exchange.delays], [LATER, 200, 1]);
  assert.match(exchange.policies[0]?.detail ?? '', /^by 200 ms on purpose, as 100% of requests are$/);
});

test('only requests with the header that is named, and of its value where one is given', () => {
  const named = { share: 1, abort: { status: 500 }, header: { name: 'x-chaos' } };
  const valued = { ...named, header: { name: 'x-chaos', value: 'on' } };
  assert.equal(ran(named).verdict, undefined);
  assert.notEqual(ran(named, ['X-Chaos: off']).verdict, undefined);
  assert.equal(ran(valued, ['X-Chaos: off']).verdict, undefined);
  assert.equal(ran(valued, ['X-Chaos: on, or not']).verdict, undefined);
  const hit = ran(valued, ['X-Chaos: on']);
  assert.match(hit.exchange.policies[0]?.detail ?? '', /100% of requests with header x-chaos: on are/);
});

test('the share of many requests is the one that was asked for', () => {
  const filter = fault({ share: 0.1, abort: { status: 503 } }, seeded(7));
  const exchange = exchangeFor('/');
  let aborted = 0;
  for (let i = 0; i < 20_000; i++) if (filter.onRequest?.(exchange, unused) !== undefined) aborted++;
  assert.ok(Math.abs(aborted - 2000) < 4 * Math.sqrt(20_000 * 0.1 * 0.9), `${aborted} of 20000`);
});

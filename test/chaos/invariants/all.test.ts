import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrivalOf, evidenceOf, failedRequest, impairmentOf, requestOf } from '../evidence.fixture.ts';
import type { Evidence } from '../evidence.ts';
import { INVARIANTS } from './all.ts';
import { explained } from './explained.ts';
import { retryBudget } from './retry-budget.ts';

function broken(given: Partial<Evidence>): string[] {
  const evidence = evidenceOf(given);
  return INVARIANTS.flatMap((invariant) => invariant.check(evidence)).map(({ invariant }) => invariant);
}

test('a storm in which all went well breaks nothing', () => {
  assert.deepEqual(broken({ requests: [requestOf()], arrivals: [arrivalOf({ method: 'GET' })] }), []);
});

test('each invariant is broken by what it is there for', () => {
  const MIB = 1024 * 1024;
  const violated: Record<string, Partial<Evidence>> = {
    'no-lost-request': { requests: [failedRequest()] },
    'no-mix-up': { requests: [requestOf({ mixedWith: 'r2 r2' })] },
    once: { arrivals: [arrivalOf(), arrivalOf({ instance: 'orders-1' })] },
    'memory-bounded': { memory: [{ part: 'client-a', before: 80 * MIB, after: 200 * MIB }] },
    recovered: { unrecovered: ['half-open connections were not given up'] },
    'no-crash': { deaths: ['orders-0 ended by itself: 1'] },
  };
  for (const [name, given] of Object.entries(violated)) assert.deepEqual(broken(given), [name]);
});

test('retries beyond 20 % and 10 a second break the budget; as many as that do not', () => {
  const requests = Array.from({ length: 100 }, (_, index) =>
    requestOf({ id: `r${index}`, startMs: 1_000 + index }),
  );
  const arrivals = (each: number) =>
    requests.flatMap(({ id }) => Array.from({ length: each }, () => arrivalOf({ id, method: 'GET' })));
  // Within ten seconds, and in the time in which their last retries may come, 520 are allowed.
  assert.deepEqual(retryBudget.check(evidenceOf({ requests, arrivals: arrivals(6) })), []);
  const [violation] = retryBudget.check(evidenceOf({ requests, arrivals: arrivals(7) }));
  assert.match(violation?.detail ?? '', /600 retries of client-a at orders .* more than 520/);
});

test('the calls that a service makes for its own callers are its first attempts', () => {
  const requests = [requestOf({ entry: 'gateway', services: ['web', 'orders'] })];
  const atWeb = arrivalOf({ client: 'gateway', service: 'web', instance: 'web-0', method: 'GET' });
  const onward = (times: number) =>
    Array.from({ length: times }, () => arrivalOf({ client: 'web', method: 'GET' }));
  assert.deepEqual(retryBudget.check(evidenceOf({ requests, arrivals: [atWeb, ...onward(2)] })), []);
  assert.equal(retryBudget.check(evidenceOf({ requests, arrivals: [atWeb, ...onward(600)] })).length, 1);
});

test('a failure must name a known reason, in its response or where it was cut short in its explanation', () => {
  const check = (given: Parameters<typeof failedRequest>[0]) =>
    explained.check(
      evidenceOf({ requests: [failedRequest(given)], impairments: [impairmentOf(['client-a'])] }),
    ).length;
  assert.equal(check({}), 0);
  assert.equal(check({ reason: '' }), 1);
  assert.equal(check({ reason: 'of-no-page' }), 1);
  assert.equal(check({ reason: '', status: 200, explanation: '  reason upstream-reset: cut\n' }), 0);
  assert.equal(check({ reason: '', status: 0 }), 0, 'its own sidecar was killed');
  assert.equal(check({ reason: '', status: 0, entry: 'client-b' }), 1, 'its own sidecar was there');
  assert.equal(check({ reason: '', status: 0, of: 'opaque' }), 0, 'bytes have no place for a reason');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  arrivalOf,
  evidenceOf,
  failedRequest,
  impairmentOf,
  requestOf,
  strikeOf,
} from '../evidence.fixture.ts';
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

/** So many a second for 30 s, of which those sent in the tenth to the nineteenth second arrive `times` times within `tookMs`. */
function retried(perSecond: number, times: number, tookMs = 10): Evidence {
  const stepMs = 1_000 / perSecond;
  const requests = Array.from({ length: 30 * perSecond }, (_, index) =>
    requestOf({ id: `r${index}`, startMs: index * stepMs }),
  );
  const arrivals = requests.flatMap(({ id, startMs }) => {
    const again = startMs >= 10_000 && startMs < 19_000 ? times : 1;
    return Array.from({ length: again }, (_, n) =>
      arrivalOf({ id, atMs: startMs + (n + 1) * (tookMs / times), method: 'GET' }),
    );
  });
  return evidenceOf({ requests, arrivals });
}

test('retries beyond 20 % and 10 a second break the budget; as many as that do not', () => {
  // Of 100 a second in 19 s 380, and 100.
  const [violation] = retryBudget.check(retried(100, 2));
  assert.match(violation?.detail ?? '', /900 retries of client-a at orders .* 1901 requests: more than 480/);
  assert.deepEqual(retryBudget.check(retried(10, 2)), [], '90 of 9 s are within 10 a second');
  assert.equal(retryBudget.check(retried(20, 2)).length, 1);
});

test('what a frozen application reads late may have been sent again at any time before', () => {
  const late = retried(20, 2);
  const thawed = late.arrivals.map((arrival) => ({ ...arrival, atMs: Math.max(arrival.atMs, 25_000) }));
  assert.deepEqual(retryBudget.check({ ...late, arrivals: thawed }), []);
});

test('a sidecar that is started anew has a new budget, and each instance of a caller has its own', () => {
  const twice = retried(20, 2);
  const killed = strikeOf({ fault: 'kill-entry', target: 'client-a', fromMs: 12_000, toMs: 13_000 });
  assert.deepEqual(retryBudget.check({ ...twice, strikes: [killed] }), []);
  assert.equal(retryBudget.check({ ...twice, strikes: [{ ...killed, target: 'client-b' }] }).length, 1);
  const endpoints = new Map([['client-a', ['client-a-0', 'client-a-1']]]);
  assert.deepEqual(retryBudget.check({ ...twice, endpoints }), []);
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

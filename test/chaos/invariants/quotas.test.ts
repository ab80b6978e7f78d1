import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrivalOf, evidenceOf, QUOTA, requestOf, strikeOf } from '../evidence.fixture.ts';
import type { Evidence } from '../evidence.ts';
import { quietWindows, quotaUsed } from './quota-used.ts';
import { quotasKept } from './quotas.ts';

/** Requests that are sent at these times and arrive `tookMs` later; of more than arrive, `sent` says when. */
function traffic(arriveMs: readonly number[], tookMs = 2): Pick<Evidence, 'requests' | 'arrivals'> {
  const ids = arriveMs.map((_, index) => `r${index}`);
  return {
    requests: ids.map((id, index) => requestOf({ id, startMs: (arriveMs[index] ?? 0) - tookMs })),
    arrivals: ids.map((id, index) => arrivalOf({ id, atMs: arriveMs[index] ?? 0, method: 'GET' })),
  };
}

function every(stepMs: number, fromMs: number, toMs: number): number[] {
  return Array.from({ length: Math.ceil((toMs - fromMs) / stepMs) }, (_, index) => fromMs + index * stepMs);
}

test('a whole burst and the rate after it is a quota used up; one more in any window is too much', () => {
  const burst = Array.from({ length: 10 }, () => 5_000);
  const kept = [...burst, ...every(100, 5_100, 9_000)];
  assert.deepEqual(quotasKept.check(evidenceOf({ ...traffic(kept), quotas: [QUOTA] })), []);
  const more = evidenceOf({ ...traffic([...kept, 7_000]), quotas: [QUOTA] });
  const [violation] = quotasKept.check(more);
  assert.match(
    violation?.detail ?? '',
    /orders got 31 requests within 2002 ms: more than 10 in 1000 ms and 10 at once/,
  );
});

test('what a frozen application reads at once may have been let in before, so it proves nothing', () => {
  const late = traffic(Array.from({ length: 40 }, () => 8_000));
  const spread = late.requests.map((request, index) => ({ ...request, startMs: 4_000 + index * 100 }));
  assert.deepEqual(quotasKept.check(evidenceOf({ ...late, requests: spread, quotas: [QUOTA] })), []);
  assert.equal(quotasKept.check(evidenceOf({ ...late, quotas: [QUOTA] })).length, 1, 'sent at once, too');
});

test('each arrival of a request that was sent again counts', () => {
  const { requests, arrivals } = traffic(Array.from({ length: 6 }, () => 5_000));
  const once = { requests, arrivals, quotas: [QUOTA] };
  assert.deepEqual(quotasKept.check(evidenceOf(once)), []);
  assert.equal(quotasKept.check(evidenceOf({ ...once, arrivals: [...arrivals, ...arrivals] })).length, 1);
});

/** A load of 20 a second for ten seconds, of which so many a second arrive. */
function loaded(perSecond: number, given: Partial<Evidence> = {}, toMs = 10_000): Evidence {
  const { arrivals } = traffic(every(1_000 / perSecond, 0, toMs));
  const sent = traffic(every(50, 0, toMs)).requests;
  const quota = { ...QUOTA, toMs };
  return evidenceOf({ requests: sent, arrivals, quotas: [quota], ...given });
}

test('a service that gets less than 70 % of its quota while nothing is ill starves', () => {
  assert.deepEqual(quotaUsed.check(loaded(8)), []);
  const [violation] = quotaUsed.check(loaded(6));
  assert.match(violation?.detail ?? '', /orders got 60 % of its quota in 10000 ms in which nothing was ill/);
});

test('who is not asked for its quota need not give it', () => {
  assert.deepEqual(quotaUsed.check({ ...loaded(6), requests: traffic(every(100, 0, 10_000)).requests }), []);
});

test('while Redis, control planes, an endpoint or a caller is ill, and for 3 s after it, less may be given', () => {
  const windows = (strikes: Evidence['strikes']) =>
    quietWindows(loaded(6, { strikes }, 15_000), { ...QUOTA, toMs: 15_000 }).map(({ fromMs, toMs }) => [
      fromMs,
      toMs,
    ]);
  for (const given of [
    {},
    { fault: 'kill-control-plane', aim: 'control-plane', target: 'control-0' },
    { fault: 'kill-application', aim: 'endpoint', target: 'orders-1' },
    { fault: 'kill-entry', aim: 'entry', target: 'client-a' },
  ] as const)
    assert.deepEqual(windows([strikeOf({ ...given, fromMs: 4_500, toMs: 6_000 })]), [
      [0, 4_500],
      [9_000, 15_000],
    ]);
  const elsewhere = strikeOf({ fault: 'kill-application', aim: 'endpoint', target: 'web-0' });
  assert.deepEqual(windows([elsewhere]), [[0, 15_000]]);
});

test('a sidecar that died while nobody could note it keeps its share: nothing is said for two minutes', () => {
  const died = strikeOf({ fault: 'kill-sidecar', aim: 'endpoint', target: 'orders-0', toMs: 900 });
  const strikes = [died, strikeOf()];
  assert.deepEqual(quietWindows(loaded(6, { strikes }), { ...QUOTA, toMs: 10_000 }), []);
  assert.equal(quietWindows(loaded(6, { strikes: [died] }), { ...QUOTA, toMs: 10_000 }).length, 1);
});

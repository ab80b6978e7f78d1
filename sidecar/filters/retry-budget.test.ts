import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import { RetryBudget } from './retry-budget.ts';

function budget(ratio: number, perSecond: number): RetryBudget {
  const made = new RetryBudget();
  made.limit(ratio, perSecond);
  return made;
}

/** How many retries are granted at `nowMs` until one is refused. */
function drained(of: RetryBudget, nowMs: number): number {
  let granted = 0;
  while (granted < 10_000 && of.tryRetry(nowMs)) granted++;
  return granted;
}

function requests(of: RetryBudget, count: number, nowMs: number): void {
  for (let i = 0; i < count; i++) of.countRequest(nowMs);
}

for (const [seed, ratio, perSecond] of [
  [1, 0.2, 0],
  [2, 0.2, 1],
  [3, 0.5, 0.3],
  [4, 0, 2],
  [5, 1, 10],
  [6, 0.01, 0],
] as const) {
  test(`never more than ${ratio} of the requests of ten seconds and ${perSecond} per second, whoever asks and when (seed ${seed})`, () => {
    const random = seeded(seed);
    const made = budget(ratio, perSecond);
    const requestTimes: number[] = [];
    const retryTimes: number[] = [];
    let now = random() * 1e6;
    let refused = 0;
    for (let step = 0; step < 5000; step++) {
      now += random() < 0.01 ? random() * 20_000 : random() * 50;
      if (random() < 0.4) {
        made.countRequest(now);
        requestTimes.push(now);
        continue;
      }
      if (!made.tryRetry(now)) {
        refused++;
        continue;
      }
      // A slice is one second: what is nearer than nine seconds counts for sure, what is older than ten does not.
      const retries = retryTimes.filter((time) => time > now - 9_000).length + 1;
      const counted = requestTimes.filter((time) => time > now - 10_000).length;
      assert.ok(
        retries <= counted * ratio + perSecond * 10 + 1e-9,
        `${retries} of ${counted} at step ${step}`,
      );
      retryTimes.push(now);
    }
    assert.ok(refused > 0);
    assert.ok(retryTimes.length > 0);
  });
}

test('a budget without limits grants nothing', () => {
  const made = new RetryBudget();
  requests(made, 1000, 5);
  assert.equal(made.tryRetry(5), false);
});

test('requests open the budget in proportion, and what was granted is gone', () => {
  const made = budget(0.2, 0);
  requests(made, 50, 100);
  assert.equal(drained(made, 100), 10);
  requests(made, 5, 900);
  assert.equal(drained(made, 900), 1);
});

test('after ten seconds neither requests nor retries count any more', () => {
  const made = budget(0.2, 1);
  requests(made, 50, 500);
  assert.equal(drained(made, 500), 20);
  assert.equal(drained(made, 9_999), 0, 'the retries still count');
  assert.equal(drained(made, 10_500), 10, 'only what is granted per second is left');
  assert.equal(drained(made, 3_600_000), 10, 'a long rest saves nothing up');
});

test('old requests leave second by second', () => {
  const made = budget(0.1, 0);
  for (let second = 0; second < 10; second++) requests(made, 10, second * 1000);
  assert.equal(drained(made, 13_999), 6, 'the requests of seconds 4 to 9');
});

test('new limits keep the past: reloading the configuration gives nobody a fresh budget', () => {
  const made = budget(0.2, 1);
  requests(made, 50, 0);
  assert.equal(drained(made, 0), 20);
  for (let reload = 0; reload < 5; reload++) {
    made.limit(0.2, 1);
    assert.equal(drained(made, 0), 0);
  }
  made.limit(0.4, 1);
  assert.equal(drained(made, 0), 10, 'only what the larger limit adds');
  made.limit(0, 0);
  assert.equal(drained(made, 0), 0);
});

test('a request that was held back for long is counted now, and gives nobody a fresh budget', () => {
  const made = budget(0.2, 1);
  requests(made, 50, 60_000);
  assert.equal(drained(made, 60_000), 20);
  made.countRequest(30_000);
  assert.equal(drained(made, 60_001), 0);
  requests(made, 9, 30_000);
  assert.equal(drained(made, 60_002), 2);
});

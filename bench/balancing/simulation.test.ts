import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from './simulation.ts';

test('a seed replays', () => {
  assert.deepEqual(simulate('p2c-ewma', 'churn', 3), simulate('p2c-ewma', 'churn', 3));
  assert.notDeepEqual(simulate('p2c-ewma', 'churn', 3), simulate('p2c-ewma', 'churn', 4));
});

for (const seed of [1, 2, 3]) {
  test(`seed ${seed}: the default is as good as any where all are alike, and better with a slow endpoint`, () => {
    const alike = (['p2c-ewma', 'least-request'] as const).map((one) => simulate(one, 'all alike', seed));
    const [first, second] = alike;
    assert.ok(first && second && first.p99Ms < second.p99Ms * 1.2 && first.most < 1.2, JSON.stringify(alike));
    const slow = simulate('p2c-ewma', 'one slow', seed);
    for (const other of ['least-request', 'ring-hash', 'maglev'] as const)
      assert.ok(slow.p99Ms * 1.5 < simulate(other, 'one slow', seed).p99Ms, other);
  });

  test(`seed ${seed}: the default gives an endpoint that fails at once less than its share, and one that is cold too`, () => {
    const failing = simulate('p2c-ewma', 'one failing', seed);
    assert.ok(failing.failedPercent < 5, JSON.stringify(failing));
    assert.ok(failing.failedPercent < simulate('least-request', 'one failing', seed).failedPercent / 2);
    assert.ok(simulate('p2c-ewma', 'churn', seed).p99Ms < simulate('random', 'churn', seed).p99Ms / 2);
  });
}

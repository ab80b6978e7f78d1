import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAll } from './main.ts';

const [STORM = '', BUDGET = '', , TULLE = ''] = [
  '2 retries at each hop, no budget',
  'a budget of 20 % + 10/s at each hop',
  'marks alone',
  'Tulle: budget and marks',
];

for (const seed of [1, 2, 3]) {
  test(`a chain of five whose last hop fails gets no storm, and a single failure is still retried (seed ${seed})`, () => {
    const results = runAll(seed);
    const of = (failure: string, rules: string) => {
      const found = results.find((result) => result.case === failure && result.rules === rules);
      assert.ok(found, `${failure}, ${rules}`);
      return { last: found.outcome.load.at(-1) ?? 0, succeeded: found.outcome.succeeded };
    };
    assert.equal(Math.round(of('hop 5 fails all', STORM).last), 243, '3 to the 5th');
    assert.ok(of('hop 5 fails all', BUDGET).last > 2, 'budgets alone multiply: 1.2 to the 5th');
    // 20 %, and 10 a second of 1000 and what ten seconds had saved up.
    assert.ok(of('hop 5 fails all', TULLE).last <= 1.2 + 0.01 + 0.004);
    for (const failure of ['hop 3 fails 2 %', 'every hop fails 1 %'])
      assert.ok(of(failure, TULLE).succeeded > 0.999, failure);
  });
}

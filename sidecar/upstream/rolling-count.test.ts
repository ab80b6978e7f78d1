import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RollingCount } from './rolling-count.ts';

/** Attempts and failures at `half`. */
function at(count: RollingCount, half: number): [number, number] {
  return [count.attemptsAt(half), count.failuresAt(half)];
}

test('this half of the window and the one before count, what is older does not', () => {
  const count = new RollingCount();
  count.add(10, true);
  count.add(10, false);
  assert.deepEqual(at(count, 10), [2, 1]);
  count.add(11, true);
  assert.deepEqual(at(count, 11), [3, 2]);
  assert.deepEqual(at(count, 12), [1, 1]);
  assert.deepEqual(at(count, 13), [0, 0]);
  count.add(13, false);
  assert.deepEqual(at(count, 20), [0, 0]);
});

test('what another counted is taken out of a sum, from both halves', () => {
  const [sum, part] = [new RollingCount(), new RollingCount()];
  for (const one of [sum, part]) one.add(1, true);
  sum.add(1, false);
  sum.add(2, true);
  sum.subtract(part, 2);
  assert.deepEqual(at(sum, 2), [2, 1]);
  assert.deepEqual(at(sum, 3), [1, 1]);
  sum.clear();
  assert.deepEqual(at(sum, 3), [0, 0]);
});

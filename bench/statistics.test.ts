import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spreadOf } from './statistics.ts';

test('the median of an odd and of an even number of values, whatever their order', () => {
  assert.deepEqual(spreadOf([30, 4, 10]), { median: 10, min: 4, max: 30 });
  assert.deepEqual(spreadOf([2, 8, 4, 1]), { median: 3, min: 1, max: 8 });
  assert.deepEqual(spreadOf([5]), { median: 5, min: 5, max: 5 });
  assert.throws(() => spreadOf([]), /no values/);
});

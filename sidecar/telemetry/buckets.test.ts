import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUCKETS_BYTES, BUCKETS_MS, bucketOf } from './buckets.ts';

test('a value on a bound is in the bucket below it, one above it in the next', () => {
  for (const bounds of [BUCKETS_MS, BUCKETS_BYTES]) {
    for (const [index, bound] of bounds.entries()) {
      assert.equal(bucketOf(bounds, bound), index);
      assert.equal(bucketOf(bounds, bound + 0.001), index + 1);
    }
  }
});

test('what is above every bound is in the open bucket, what is below every bound in the first', () => {
  assert.equal(bucketOf(BUCKETS_MS, Number.POSITIVE_INFINITY), BUCKETS_MS.length);
  assert.equal(bucketOf(BUCKETS_MS, 0), 0);
  assert.equal(bucketOf(BUCKETS_MS, -1), 0);
  assert.equal(bucketOf([], 5), 0);
});

test('bounds rise, as Prometheus wants them', () => {
  for (const bounds of [BUCKETS_MS, BUCKETS_BYTES])
    assert.deepEqual(
      [...new Set(bounds)].sort((a, b) => a - b),
      bounds,
    );
});

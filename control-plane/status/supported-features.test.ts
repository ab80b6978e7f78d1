import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SUPPORTED_FEATURES } from './supported-features.ts';

test('features are in ascending order and no more than the API takes', () => {
  assert.deepEqual(SUPPORTED_FEATURES, SUPPORTED_FEATURES.toSorted());
  assert.equal(new Set(SUPPORTED_FEATURES).size, SUPPORTED_FEATURES.length);
  assert.ok(SUPPORTED_FEATURES.length <= 64);
});

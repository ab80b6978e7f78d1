import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from './nearest.ts';

const FIELDS = ['timeout', 'try-timeout', 'retries', 'retry-budget', 'mtls', 'allow'];

test('a letter that is wrong, missing, too many, or of another case is forgiven', () => {
  assert.equal(nearest('timeuot', FIELDS), 'timeout');
  assert.equal(nearest('retires', FIELDS), 'retries');
  assert.equal(nearest('mtl', FIELDS), 'mtls');
  assert.equal(nearest('alllow', FIELDS), 'allow');
  assert.equal(nearest('MTLS', FIELDS), 'mtls');
});

test('of several the nearest is meant', () => {
  assert.equal(nearest('try-timeot', FIELDS), 'try-timeout');
  assert.equal(nearest('orders', ['orders-next', 'order', 'orders']), 'orders');
});

test('nothing is guessed when nothing is near', () => {
  assert.equal(nearest('circuit', FIELDS), undefined);
  assert.equal(nearest('timeout', []), undefined);
  assert.equal(nearest('', FIELDS), undefined);
});

test('a word of a million letters is not near to everything, and takes no time by the million', () => {
  assert.equal(nearest('x'.repeat(1_000_000), FIELDS), undefined);
  assert.equal(nearest('timeout'.padEnd(1_000_000, 'x'), FIELDS), undefined);
});

test('names of an object that every object has are not guessed', () => {
  assert.equal(nearest('__proto__', FIELDS), undefined);
  assert.equal(nearest('constructor', FIELDS), undefined);
});

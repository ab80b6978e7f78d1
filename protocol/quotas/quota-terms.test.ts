import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitOf } from './limits.fixture.ts';
import { EXACT_LAG_MS, quotaTerms } from './quota-terms.ts';

const termsOf = (text: string) => quotaTerms(limitOf(text));

test('what a store keeps in reserve is as much as comes back while a token waits to be used', () => {
  for (const text of [
    '100/s',
    '100/s burst 6',
    '60/s burst 10',
    '1000/s burst 61',
    '100/h burst 2',
    '5/s burst 2',
  ]) {
    for (const mode of ['', ' exact']) {
      const { capacity, burst, rate, lifeMs } = termsOf(`${text}${mode}`);
      const lateMs = lifeMs === 0 ? EXACT_LAG_MS : lifeMs;
      assert.ok(capacity + rate * lateMs <= burst + 1e-9, `${text}${mode}: ${capacity} of ${burst}`);
    }
  }
  for (const text of ['window 40/s', 'estimate 40/s', 'window 1000/h']) {
    for (const mode of ['', ' exact']) {
      const { windowMs, lifeMs } = termsOf(`${text}${mode}`);
      const perMs = text.endsWith('/s') ? 1_000 : 3_600_000;
      const lateMs = lifeMs === 0 ? EXACT_LAG_MS : lifeMs;
      assert.ok(windowMs >= perMs + lateMs, `${text}${mode}: ${windowMs}`);
    }
  }
});

test('a burst that is worth so little that a lease would end before its answer is there is drawn one by one', () => {
  for (const text of ['1000/s burst 10', '1000/s burst 99', '100/s burst 5', '10/s burst 1', '100/s exact'])
    assert.equal(termsOf(text).lifeMs, 0, text);
  for (const text of ['1000/s burst 100', '1000/s', '100/s burst 10', '100/d burst 2', 'window 10/s'])
    assert.ok(termsOf(text).lifeMs >= 20, text);
});

test('of the shortest burst half can be used at once, and never less than one', () => {
  assert.equal(termsOf('1000/s burst 10').capacity, 5);
  assert.equal(termsOf('1000/s burst 1').capacity, 1);
});

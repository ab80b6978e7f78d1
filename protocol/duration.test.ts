import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from './duration.ts';

test('a duration is a number with its unit, in ms', () => {
  const read = ['150ms', '2s', '1.5m', '1h', '24h', ' 2s ', '0.5ms', '0.001s'].map(parseDuration);
  assert.deepEqual(read, [150, 2000, 90_000, 3_600_000, 86_400_000, 2000, 0.5, 1]);
});

test('a number without unit, zero, a sign, an exponent and an unknown unit are no durations', () => {
  for (const text of ['', '5', 's', '0s', '0.000s', '-1s', '+1s', '1e3s', '1 s', '1d', '1S', '2s 3s', '٣s']) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

test('a duration that would overflow a timer or never end is refused: at most a day', () => {
  for (const text of ['24.001h', '1441m', '86401s', '999999999h', `${'9'.repeat(400)}ms`, 'Infinitys']) {
    assert.equal(parseDuration(text), undefined, text);
  }
});

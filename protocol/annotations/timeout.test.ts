import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTimeout } from './timeout.ts';

test('a duration is the timeout, or that of a try', () => {
  assert.deepEqual(parseTimeout('2s', 'timeoutMs'), { timeoutMs: 2000 });
  assert.deepEqual(parseTimeout(' 150ms ', 'tryTimeoutMs'), { tryTimeoutMs: 150 });
});

test('none takes back what a policy set', () => {
  assert.deepEqual(parseTimeout('none', 'timeoutMs'), { unset: 'timeoutMs' });
  assert.deepEqual(parseTimeout(' none ', 'tryTimeoutMs'), { unset: 'tryTimeoutMs' });
});

test('what is no duration is told with what was meant', () => {
  for (const text of ['', '2', '0s', '-1s', '25h', 'forever', 'None', '2s, 3s']) {
    assert.deepEqual(parseTimeout(text, 'timeoutMs'), {
      wrong: 'is not a duration',
      meant: 'write a number with its unit, like 150ms, 2s or 1m (at most 24h), or none',
    });
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCache } from './cache.ts';

test('as the response says, or for a time, with a time to serve stale', () => {
  assert.deepEqual(parseCache(' respect '), { cache: { mode: 'respect' } });
  assert.deepEqual(parseCache('60s'), { cache: { mode: 'fixed', ttlMs: 60_000 } });
  assert.deepEqual(parseCache('1m  stale  300s'), {
    cache: { mode: 'fixed', ttlMs: 60_000, staleMs: 300_000 },
  });
});

test('off takes back what a policy set', () => {
  assert.deepEqual(parseCache('off'), { unset: 'cache' });
});

test('what is no policy is told with what was meant', () => {
  for (const text of [
    '',
    'on',
    '60',
    '0s',
    '60s stale',
    '60s stale 0s',
    '60s stale x',
    '60s fresh 5s',
    'stale 5s',
    'respect stale 5s',
    '25h',
  ]) {
    assert.deepEqual(
      parseCache(text),
      {
        wrong: 'is not a cache policy',
        meant: 'write respect, off, or how long, like "60s" or "60s stale 300s"',
      },
      text,
    );
  }
});

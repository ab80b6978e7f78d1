import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RestartBackoff } from './restart-backoff.ts';

test('a worker that goes on ending is started ever more seldom, up to every ten seconds', () => {
  const backoff = new RestartBackoff();
  const waits = Array.from({ length: 10 }, () => backoff.next(50));
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
});

test('one that ran for a minute is started again at once, as at its first end', () => {
  const backoff = new RestartBackoff();
  for (let i = 0; i < 5; i++) backoff.next(59_999);
  assert.equal(backoff.next(59_999), 3200);
  assert.equal(backoff.next(60_000), 100);
  assert.equal(backoff.next(1), 200);
});

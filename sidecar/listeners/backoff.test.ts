import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs, fullJitterMs, pause } from './backoff.ts';

test('it is never shorter than told, doubles up to eight times, and takes a quarter more by chance', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 100].map((retry) => backoffMs(100, retry, () => 0)),
    [100, 200, 400, 800, 800, 800],
  );
  assert.equal(
    backoffMs(100, 1, () => 1),
    125,
  );
});

test('who waits goes on after it, or never once he has cancelled', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const gone: string[] = [];
  const cancel = pause(100).wait(() => gone.push('cancelled'));
  pause(100).wait(() => gone.push('went'));
  cancel();
  context.mock.timers.tick(100);
  assert.deepEqual(gone, []);
  context.mock.timers.tick(2);
  assert.deepEqual(gone, ['went']);
});

test('by full jitter it is anything from nothing to twice as much each time, up to a cap', () => {
  const waits = (random: number, backoff?: { baseMs: number; capMs: number }) =>
    [1, 2, 3, 4, 5, 100].map((retry) => fullJitterMs(backoff, retry, () => random));
  assert.deepEqual(waits(0), [0, 0, 0, 0, 0, 0]);
  assert.deepEqual(waits(1), [25, 50, 100, 200, 250, 250]);
  assert.deepEqual(waits(0.5, { baseMs: 10, capMs: 30 }), [5, 10, 15, 15, 15, 15]);
});

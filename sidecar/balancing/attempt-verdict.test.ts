import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attemptVerdict, isFault } from './attempt-verdict.ts';

test('which statuses are an endpoint failing', () => {
  const all = [200, 204, 304, 400, 404, 408, 429, 499, 500, 501, 502, 503, 504, 505, 599];
  assert.deepEqual(
    all.filter((status) => isFault(status, -1)),
    [500, 502, 503, 504, 599],
  );
});

test('which gRPC statuses are: of unknown cause, deadline, internal, unavailable, data loss', () => {
  const all = Array.from({ length: 17 }, (_, status) => status);
  assert.deepEqual(
    all.filter((status) => isFault(200, status)),
    [2, 4, 13, 14, 15],
  );
});

test('what an attempt says of its endpoint', () => {
  assert.equal(attemptVerdict(true, 'connect-failed'), 'failure');
  assert.equal(attemptVerdict(true, '503'), 'failure');
  assert.equal(attemptVerdict(false, '200'), 'success');
  assert.equal(attemptVerdict(false, '429'), 'success');
  for (const cancelled of ['cancelled', 'client-closed', 'upgrade-refused', ''])
    assert.equal(attemptVerdict(false, cancelled), 'nothing', cancelled);
  for (const blameless of ['overloaded', 'pool-full', 'connected'])
    assert.equal(attemptVerdict(true, blameless), 'nothing', blameless);
});

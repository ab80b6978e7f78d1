import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestPauseMs } from './request-pause.ts';

test('the wait grows with each failure, to 15 s, and to 3 s where there is no certificate that could be used', (context) => {
  context.mock.method(Math, 'random', () => 1);
  assert.deepEqual(
    [0, 1, 4, 10, 2_000].map((failures) => requestPauseMs(failures, true)),
    [100, 200, 1_600, 15_000, 15_000],
  );
  assert.deepEqual(
    [0, 1, 4, 10].map((failures) => requestPauseMs(failures, false)),
    [100, 200, 1_600, 3_000],
  );
});

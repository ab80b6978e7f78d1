import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestPauseMs } from './request-pause.ts';

test('the wait grows with each failure, to 15 s, and to 3 s where there is no certificate that could be used', (context) => {
  context.mock.method(Math, 'random', () => 1);
  assert.deepEqual(
    [0, 1, 4, 10, 2_000].map((failures) => requestPauseMs(failures, 3_600_000)),
    [100, 200, 1_600, 15_000, 15_000],
  );
  assert.deepEqual(
    [0, 1, 4, 10].map((failures) => requestPauseMs(failures, 0)),
    [100, 200, 1_600, 3_000],
  );
  assert.deepEqual(
    [20_000, 10_000, 1_000].map((leftMs) => requestPauseMs(10, leftMs)),
    [10_000, 5_000, 3_000],
    'a certificate that ends soon must not be waited out',
  );
});

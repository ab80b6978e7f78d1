import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePaceOutput } from './pace.ts';

test('pace: what was offered, refused and given up comes beside what was answered', () => {
  const line =
    'REPORT {"requests":328353.000,"micros":2000120,"p50":2036,"p99":3398,"p999":6614,"errors":5,"offered":399913,"unavailable":144,"other":2,"unsent":71402}\n';
  assert.deepEqual(parsePaceOutput(line), {
    requests: 328353,
    seconds: 2.00012,
    p50Ms: 2.036,
    p99Ms: 3.398,
    p999Ms: 6.614,
    errors: 5,
    offered: 399913,
    unavailable: 144,
    unsent: 71402,
  });
});

test('pace: a report without a count is an error and not a zero', () => {
  const line = 'REPORT {"requests":1,"micros":1,"p50":1,"p99":1,"p999":1,"errors":0,"offered":1,"unsent":0}';
  assert.throws(() => parsePaceOutput(line), /lacks unavailable/);
});

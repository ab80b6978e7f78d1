import assert from 'node:assert/strict';
import { test } from 'node:test';
import { soakTable } from './soak.ts';

test('a soak shows memory at the start, in the middle, at the end and rested, and its largest', () => {
  const readings = [50, 90, 80, 70, 60].map((megabytes, index) => ({
    second: index * 60,
    rss: megabytes * 1e6,
    uss: 0,
  }));
  const [, , first, second] = soakTable([
    { peer: 'tulle', readings, requests: 1000, errors: 2 },
    { peer: 'envoy', readings: readings.slice(0, 1), requests: 0, errors: 0, failure: 'envoy ended\nbadly' },
  ]).split('\n');
  const cells = (line: string | undefined) => line?.split('|').map((cell) => cell.trim());
  assert.deepEqual(cells(first)?.slice(1, -2), [
    'tulle',
    '1000',
    '2',
    '50.0',
    '80.0',
    '70.0',
    '60.0',
    '90.0',
  ]);
  assert.equal(cells(second)?.at(-2), 'envoy ended badly');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readOptions, UsageProblem } from './options.ts';

const scenarios = ['100b', 'mesh'];
const peers = ['tulle', 'envoy'];
const read = (...args: string[]) => readOptions(args, scenarios, peers);

test('without flags everything runs at full length and may be published', () => {
  assert.deepEqual(read(), { scenarios, peers, rounds: 3, seconds: 4, whole: true });
});

test('--only mixes scenarios and peers; naming none of one kind means all of it', () => {
  assert.deepEqual(read('--only', 'mesh,envoy')?.scenarios, ['mesh']);
  assert.deepEqual(read('--only', 'mesh,envoy')?.peers, ['envoy']);
  assert.deepEqual(read('--only', 'envoy', '--only', 'tulle')?.scenarios, scenarios);
  assert.equal(read('--only', 'mesh')?.whole, false);
});

test('--quick is one short round, never published; explicit lengths win over it', () => {
  assert.deepEqual(read('--quick'), { scenarios, peers, rounds: 1, seconds: 1, whole: false });
  assert.equal(read('--quick', '--seconds', '7')?.seconds, 7);
});

test('--soak takes a length of time with its unit, and publishes nothing', () => {
  assert.equal(read('--soak', '30m')?.soakSeconds, 1800);
  assert.equal(read('--soak', '90s')?.soakSeconds, 90);
  assert.equal(read('--soak', '2h')?.whole, false);
  assert.throws(() => read('--soak', '30'), /"30" is no length of time/);
  assert.throws(() => read('--soak', '0m'), UsageProblem);
});

test('a wrong name, number or flag is refused with what is allowed', () => {
  assert.throws(() => read('--only', 'mehs'), /"mehs" is none of 100b, mesh, tulle, envoy/);
  assert.throws(() => read('--rounds', '0'), /"0" is not a whole number from 1/);
  assert.throws(() => read('--seconds', '2.5'), UsageProblem);
  assert.throws(() => read('--fast'), UsageProblem);
  assert.equal(read('--help'), undefined);
});

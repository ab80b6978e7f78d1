import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import { LatencyWindow } from './latency-window.ts';

test('a quantile is that of all that was observed, a fifth too high at most', () => {
  const random = seeded(5);
  const window = new LatencyWindow();
  const seen: number[] = [];
  for (let i = 0; i < 5000; i++) {
    const ms = Math.exp(random() * 9 - 2);
    seen.push(ms);
    window.observe(1000, ms);
  }
  seen.sort((a, b) => a - b);
  for (const quantile of [0.5, 0.9, 0.95, 0.99, 0.999]) {
    const exact = seen[Math.ceil(seen.length * quantile) - 1] ?? 0;
    const told = window.quantile(1000, quantile);
    assert.ok(told >= exact * 0.999 && told <= exact * 1.21, `p${quantile * 100}: ${told} for ${exact}`);
  }
});

test('too few to tell are none: a hedge does not go by chance', () => {
  const window = new LatencyWindow();
  for (let i = 0; i < 19; i++) window.observe(0, 5);
  assert.equal(window.quantile(0, 0.95), 0);
  window.observe(0, 5);
  assert.ok(window.quantile(0, 0.95) >= 5, 'that it was not known is not kept');
  assert.equal(window.quantile(600, 0.99), 0);
});

test('what is older than half a minute is forgotten, half of it after a quarter', () => {
  const window = new LatencyWindow();
  for (let i = 0; i < 100; i++) window.observe(0, 100);
  for (let i = 0; i < 300; i++) window.observe(16_000, 1);
  assert.ok(window.quantile(16_000, 0.8) >= 100, 'both count');
  assert.ok(window.quantile(32_000, 0.8) < 2, 'the first are gone');
  assert.equal(window.quantile(100_000, 0.8), 0, 'all are gone');
});

test('an endpoint that answers after an hour, or in no time, is in a bucket too', () => {
  const window = new LatencyWindow();
  for (const ms of [0, -1, Number.NaN, 4e6]) window.observe(0, ms);
  assert.ok(window.quantile(0, 0.5) <= 0.1);
});

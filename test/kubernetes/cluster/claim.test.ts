import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressesOf, SLOTS } from './addresses.ts';
import { identify, isRunning } from './claim.ts';

test('a process that has ended is not taken for running, nor a later one of its number for it', () => {
  const self = identify(process.pid);
  assert.ok(self && isRunning(self));
  assert.ok(!isRunning({ pid: process.pid, started: `${Number(self.started) - 1}` }));
  const aboveAll = 2 ** 22 + 1; // Linux's highest PID_MAX_LIMIT, and one
  assert.equal(identify(aboveAll), undefined);
});

test('clusters of different slots share no range, link or address', () => {
  const seen = new Set<string>();
  for (let slot = 0; slot < SLOTS; slot++) {
    const { link, v4, v6 } = addressesOf(slot);
    for (const one of [link, v4.all, v6.all, v4.node, v6.node, v6.pods, v6.services]) {
      assert.ok(!seen.has(one), one);
      seen.add(one);
    }
    assert.ok(link.length <= 15, 'the name of a link (IFNAMSIZ)');
    for (const part of v4.all.split('/')[0]?.split('.') ?? []) assert.ok(Number(part) <= 255);
  }
});

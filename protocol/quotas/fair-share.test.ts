import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fairShare, pauseMs } from './fair-share.ts';

/** 10 a ms, leases of 100 ms: a reserve of up to 500. */
const shared = { rate: 10, lifeMs: 100 };

test('an even part of what came back since the last draw', () => {
  assert.equal(fairShare(0, shared, 10, 60), 60);
  assert.equal(fairShare(0, shared, 10, 5_000), 100);
  assert.equal(fairShare(0, shared, 10, -5), 1);
});

test('who asks more often gets no more of what is kept in reserve', () => {
  assert.equal(fairShare(450, shared, 10, 20), 20);
});

test('who is alone gets all', () => {
  assert.equal(fairShare(450, shared, 1, 0), 450);
});

test('what others leave is for anybody, half of it, but for a reserve', () => {
  assert.equal(fairShare(895, shared, 100, 50), 200);
  assert.equal(fairShare(5_000, shared, 100, 50), 500);
  assert.equal(fairShare(515, shared, 100, 50), 10);
});

test('of a quota of which hardly anything comes back there is an even part, and never less than one', () => {
  const slow = { rate: 1e-6, lifeMs: 100 };
  assert.equal(fairShare(98, slow, 2, 50), 49);
  assert.equal(fairShare(3, slow, 50, 50), 1);
});

test('a pause is no longer than it takes for what is missing, nor than half a lease', () => {
  assert.equal(pauseMs(10, shared, 10), 10);
  assert.equal(pauseMs(1_000, shared, 10), 50);
  assert.equal(pauseMs(0, shared, 10), 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evidenceFor, standsOut } from './stands-out.ts';

/** How many failures in a row it takes to stand out. */
function needed(peersRate: number, failures = 5): number {
  for (let streak = 1; streak < 1000; streak++)
    if (standsOut(streak, streak, peersRate, evidenceFor(failures)) && streak >= failures) return streak;
  return Number.POSITIVE_INFINITY;
}

test('among peers that do well it takes as many failures in a row as the policy says, among others more', () => {
  assert.deepEqual(
    [0, 0.01, 0.05, 0.1, 0.2, 0.5, 0.9].map((rate) => needed(rate)),
    [5, 5, 5, 7, 10, 22, 143],
  );
  assert.deepEqual(
    [0, 0.05, 0.5].map((rate) => needed(rate, 1)),
    [1, 1, 5],
  );
});

test('when all peers fail nobody stands out', () => {
  assert.equal(needed(1), Number.POSITIVE_INFINITY);
  assert.equal(standsOut(50, 100, 0.5, 1), false);
});

test('a share of failures stands out by how far it is from its peers and by how often it was seen', () => {
  const evidence = evidenceFor(5);
  assert.equal(standsOut(12, 20, 0.1, evidence), true);
  assert.equal(standsOut(12, 20, 0.4, evidence), false);
  assert.equal(standsOut(600, 1000, 0.4, evidence), true);
  assert.equal(standsOut(1, 20, 0, evidence), true);
});

test('a healthy endpoint among equals is hardly ever taken for one that stands out', () => {
  let seed = 42;
  const random = () => {
    seed = (seed * 1664525 + 1013904223) % 2 ** 32;
    return seed / 2 ** 32;
  };
  const evidence = evidenceFor(5);
  for (const rate of [0.05, 0.2, 0.5, 0.8]) {
    let streak = 0;
    let found = 0;
    for (let i = 0; i < 200_000; i++) {
      streak = random() < rate ? streak + 1 : 0;
      if (streak >= 5 && standsOut(streak, streak, rate, evidence)) found++;
    }
    assert.ok(found <= 4, `${found} at ${rate}`);
  }
});

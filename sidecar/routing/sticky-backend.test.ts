import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textHash } from '../http/text-hash.ts';
import { stickyBackend } from './sticky-backend.ts';

const CALLERS = Array.from({ length: 100_000 }, (_, index) => textHash(`user-${index}`));

const of = (weights: Record<string, number>) =>
  stickyBackend(Object.entries(weights).map(([service, weight]) => ({ service, weight })));

test('shares of callers are those of the weights', () => {
  const weights: Record<string, number> = { 't/stable': 90, 't/canary': 7, 't/other': 3, 't/off': 0 };
  const pick = of(weights);
  const counts: Record<string, number> = { 't/off': 0 };
  for (const caller of CALLERS) {
    const { service } = pick(caller) ?? assert.fail();
    counts[service] = (counts[service] ?? 0) + 1;
  }
  for (const [service, weight] of Object.entries(weights)) {
    const expected = (CALLERS.length * weight) / 100;
    const spread = 4 * Math.sqrt(expected * (1 - weight / 100));
    assert.ok(Math.abs((counts[service] ?? 0) - expected) <= spread, `${service} ${counts[service]}`);
  }
});

test('the same caller gets the same backend, in whatever order they stand', () => {
  const [one, two] = [of({ 't/a': 1, 't/b': 2, 't/c': 3 }), of({ 't/c': 3, 't/a': 1, 't/b': 2 })];
  for (const caller of CALLERS.slice(0, 1000)) assert.equal(one(caller)?.service, two(caller)?.service);
});

test('a caller that got the canary keeps it while its weight grows, and others only move to it', () => {
  const steps = [5, 10, 25, 50, 99].map((canary) => of({ 't/canary': canary, 't/a': 70, 't/b': 30 }));
  for (const caller of CALLERS.slice(0, 10_000)) {
    let before = steps[0]?.(caller)?.service;
    for (const pick of steps.slice(1)) {
      const now = pick(caller)?.service;
      assert.ok(now === before || now === 't/canary', `${before} -> ${now}`);
      before = now;
    }
  }
});

test('two backends of one service have their own shares; without weights there is none', () => {
  const pick = stickyBackend([
    { service: 't/a', weight: 1 },
    { service: 't/a', weight: 1, invalid: 'second' },
  ]);
  const second = CALLERS.filter((caller) => pick(caller)?.invalid !== undefined).length;
  assert.ok(Math.abs(second - 50_000) < 4 * Math.sqrt(25_000), `${second}`);
  assert.equal(of({ 't/a': 0 })(1), undefined);
});

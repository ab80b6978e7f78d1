import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHedge } from './hedge.ts';

test('after which quantile a second try is sent', () => {
  assert.deepEqual(parseHedge('after p95'), { hedge: { quantile: 0.95 } });
  assert.deepEqual(parseHedge('  after  p50 '), { hedge: { quantile: 0.5 } });
  assert.deepEqual(parseHedge('after p99.5'), { hedge: { quantile: 0.995 } });
});

test('which methods may run twice is said, or it is the idempotent ones', () => {
  assert.deepEqual(parseHedge('after p95 for GET, POST '), {
    hedge: { quantile: 0.95, methods: ['GET', 'POST'] },
  });
});

test('off takes back what a policy set', () => {
  assert.deepEqual(parseHedge('off'), { unset: 'hedge' });
});

test('a hedge that would double the load, or never come, is refused', () => {
  const wrong = [
    '',
    'p95',
    'after 95',
    'after p5',
    'after p49',
    'after p100',
    'after p99.99999999999999999999',
    'after p95 for',
    'after p95 for get',
  ];
  for (const text of wrong) {
    assert.deepEqual(
      parseHedge(text),
      {
        wrong: 'is not a hedge',
        meant: 'write "after pNN" with p50 to p99.9, like "after p95" or "after p95 for GET,POST", or off',
      },
      text,
    );
  }
});

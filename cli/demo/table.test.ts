import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EdgeFigures } from './edge-figures.ts';
import { edgeTable, painter } from './table.ts';
import { EDGES } from './topology.ts';

function figures(more: Partial<EdgeFigures> = {}): Map<string, EdgeFigures> {
  const buckets = new Map([
    [10, 100],
    [Number.POSITIVE_INFINITY, 100],
  ]);
  const edge = {
    source: 'web',
    destination: 'orders',
    requests: 100,
    failures: 0,
    retries: 4,
    mtls: 100,
    buckets,
  };
  return new Map([['web orders', { ...edge, ...more }]]);
}

const rowOf = (rows: readonly string[]) => rows.find((row) => row.includes('web -> orders')) ?? assert.fail();
const row = (more: Partial<EdgeFigures>, colour = false) =>
  rowOf(edgeTable(figures(more), 5, painter(colour)));

test('a row an edge below a header, also of those without traffic', () => {
  const [header = '', ...rows] = edgeTable(new Map(), 5, painter(false));
  assert.deepEqual(header.trim().split(/ {2,}/), [
    'edge',
    'rps',
    'success',
    'p50 ms',
    'p99 ms',
    'retries',
    'mTLS',
  ]);
  assert.equal(rows.length, EDGES.length);
  for (const [index, { source, destination }] of EDGES.entries()) {
    assert.match(rows[index] ?? '', new RegExp(`^  ${source} -> ${destination} +no traffic yet$`));
  }
});

test('rate, success, latency, retries and mTLS of an edge', () => {
  assert.deepEqual(row({}).trim().split(/ {2,}/), [
    'web -> orders',
    '20.0',
    '100 %',
    '5.0',
    '9.9',
    '4',
    'yes',
  ]);
  assert.deepEqual(row({ failures: 3, mtls: 50 }).trim().split(/ {2,}/), [
    'web -> orders',
    '20.0',
    '97.0 %',
    '5.0',
    '9.9',
    '4',
    'partly',
  ]);
  assert.match(row({ mtls: 0 }), / NO$/);
  assert.match(row({ buckets: new Map() }), / 100 % +- +- +4 /);
  assert.match(row({ requests: 0 }), /no traffic yet/);
});

test('columns keep their places', () => {
  const [header = ''] = edgeTable(new Map(), 5, painter(false));
  assert.equal(row({}).indexOf('yes'), header.indexOf('mTLS'));
  assert.equal(row({ failures: 3 }).indexOf('yes'), header.indexOf('mTLS'));
});

test('green is well, yellow is worse, red is bad', () => {
  assert.ok(row({}, true).includes('\u001b[32m     100 %\u001b[0m'));
  assert.ok(row({ failures: 5 }, true).includes('\u001b[33m    95.0 %\u001b[0m'));
  assert.ok(row({ failures: 6 }, true).includes('\u001b[31m    94.0 %\u001b[0m'));
  assert.ok(row({ mtls: 99 }, true).endsWith('\u001b[33mpartly\u001b[0m'));
  assert.ok(row({ mtls: 0 }, true).endsWith('\u001b[31mNO\u001b[0m'));
});

test('without colours there is no escape, and the text is the same', () => {
  const coloured = edgeTable(figures(), 5, painter(true)).join('\n');
  const plain = edgeTable(figures(), 5, painter(false)).join('\n');
  assert.ok(coloured.includes('\u001b'));
  assert.ok(!plain.includes('\u001b'));
  assert.equal(coloured.replaceAll(/\p{Cc}\[\d+m/gu, ''), plain);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeRegistry } from './edge-registry.ts';

test('an edge is the same at every use, and different in each of its parts', () => {
  const registry = new EdgeRegistry();
  const edge = registry.get('source', 'a/b', 'c/d', false);
  assert.equal(registry.get('source', 'a/b', 'c/d', false), edge);
  assert.equal(registry.get('source', 'a/b', 'c/d', false, 'http'), edge);
  const others = [
    registry.get('destination', 'a/b', 'c/d', false),
    registry.get('source', 'a/x', 'c/d', false),
    registry.get('source', 'a/b', 'c/x', false),
    registry.get('source', 'a/b', 'c/d', true),
    registry.get('source', 'a/b', 'c/d', false, 'grpc'),
    registry.get('source', 'c/d', 'a/b', false),
  ];
  assert.equal(new Set([edge, ...others]).size, 7);
  assert.deepEqual(registry.all(), [edge, ...others]);
  assert.deepEqual(edge.edge, {
    reporter: 'source',
    source: 'a/b',
    destination: 'c/d',
    mtls: false,
    protocol: 'http',
  });
});

test('an attacker who invents names fills no memory: beyond the bound they are counted together', () => {
  const registry = new EdgeRegistry(10);
  const known = registry.get('destination', 'shop/web', 'shop/orders', true);
  for (let i = 0; i < 2000; i++) {
    const stats = registry.get(i % 2 === 0 ? 'source' : 'destination', `n/${i}`, `m/${i}`, i % 3 === 0);
    stats.observe(200, 1, 0, 0, '');
  }
  assert.ok(registry.all().length <= 10 + 4, `${registry.all().length} edges`);
  let counted = 0;
  for (const { requests } of registry.all()) counted += requests;
  assert.equal(counted, 2000, 'none is lost');
  const { edge } = registry.get('source', 'n/new', 'm/new', false);
  assert.deepEqual([edge.source, edge.destination], ['other', 'other']);
  assert.equal(registry.get('destination', 'shop/web', 'shop/orders', true), known, 'a known edge stays');
});

test('an attacker who calls itself other before the bound is reached opens no second bound', () => {
  const registry = new EdgeRegistry(3);
  registry.get('source', 'other', 'other', false);
  for (let i = 0; i < 100; i++) {
    registry.get('source', 'other', `m/${i}`, false);
    registry.get('source', `n/${i}`, 'other', false);
  }
  assert.equal(registry.all().length, 3);
});

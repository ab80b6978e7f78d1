import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aggregateSchema } from './aggregate.ts';

const PART = { field: 'user', service: 'users', path: '/me' };
const aggregate = (path: string, parts: object[]) => ({
  apiVersion: 'tulle.dev/v1alpha1',
  kind: 'Aggregate',
  metadata: { name: 'home', namespace: 'shop' },
  spec: { path, parts },
});
const takes = (path: string, parts: object[]) => aggregateSchema.safeParse(aggregate(path, parts)).success;

test('parts are needed unless they are optional', () => {
  assert.deepEqual(aggregateSchema.parse(aggregate('/home', [PART, { ...PART, optional: true }])).spec, {
    path: '/home',
    parts: [
      { ...PART, optional: false },
      { ...PART, optional: true },
    ],
  });
});

test('no parts, more than 32, and parts without a field or a path are refused', () => {
  assert.ok(!takes('/home', []));
  assert.ok(!takes('home', [PART]));
  assert.ok(!takes('/home', [{ ...PART, path: 'http://evil.test/' }]));
  assert.ok(!takes('/home', [{ ...PART, field: '' }]));
  assert.ok(!takes('/home', [{ ...PART, timeout: '1s' }]));
  const parts = Array.from({ length: 33 }, () => PART);
  assert.ok(!takes('/home', parts));
  assert.ok(takes('/home', parts.slice(1)));
});

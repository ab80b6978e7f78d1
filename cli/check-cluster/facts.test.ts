import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemasOf } from './facts.ts';

test('schemas are the same whatever the order of their fields, and differ in their values', () => {
  const schema = (properties: object) => ({ spec: { versions: [{ name: 'v1', schema: { properties } }] } });
  assert.equal(schemasOf(schema({ a: 1, b: [2] })), schemasOf(schema({ b: [2], a: 1, c: undefined })));
  assert.notEqual(schemasOf(schema({ a: 1 })), schemasOf(schema({ a: 2 })));
});

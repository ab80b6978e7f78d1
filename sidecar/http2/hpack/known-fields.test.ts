import assert from 'node:assert/strict';
import { test } from 'node:test';
import { knownField } from './known-fields.ts';

test('a field of the same texts is the same object', () => {
  const field = knownField('x-tenant', 'acme');
  assert.equal(knownField('x-tenant', ['ac', 'me'].join('')), field);
  assert.notEqual(knownField('x-tenant', 'other'), field);
  assert.notEqual(knownField('x-tenan', 'tacme'), field);
});

test('large fields, which would fill the memory, are not kept', () => {
  assert.notEqual(knownField('a', 'v'.repeat(256)), knownField('a', 'v'.repeat(256)));
  assert.equal(knownField('a', 'v'.repeat(255)), knownField('a', 'v'.repeat(255)));
});

test('values that differ in their middle only, which their hashes do not tell, are told apart', () => {
  const end = '-'.repeat(40);
  const field = knownField('a', `1${end}`);
  assert.equal(field.value, `1${end}`);
  assert.equal(knownField('a', `2${end}`).value, `2${end}`);
});

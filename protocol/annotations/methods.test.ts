import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMethods } from './methods.ts';

test('methods are written as HTTP writes them, one or several', () => {
  assert.deepEqual(parseMethods('GET'), ['GET']);
  assert.deepEqual(parseMethods(' GET , POST,PURGE '), ['GET', 'POST', 'PURGE']);
});

test('anything else is none: a word in small letters would be another method', () => {
  for (const text of ['', 'get', 'GET,', ',', 'GET POST', '*', 'A'.repeat(21)])
    assert.equal(parseMethods(text), undefined, text);
});

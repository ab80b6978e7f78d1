import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesPattern } from './client-pattern.ts';

test('a service account, one of another namespace, and all of a namespace are patterns', () => {
  for (const text of ['web', 'payments/checkout', 'payments/*', 'a.b', 'payments/a.b']) {
    assert.ok(matchesPattern(text), text);
  }
});

test('patterns that would let in more than one namespace are refused', () => {
  for (const text of [
    '*',
    '*/*',
    '*/web',
    '/*',
    '/web',
    'pay*/web',
    'payments/*x',
    'payments/w*',
    'payments/**',
  ]) {
    assert.ok(!matchesPattern(text), text);
  }
});

test('paths, IDs, capitals, spaces and line ends are refused', () => {
  for (const text of [
    '',
    'a/b/c',
    '../x',
    'a/../b',
    'spiffe://td/ns/a/sa/b',
    'Web',
    'a b',
    'web\n',
    'web\n*',
    'a/',
  ]) {
    assert.ok(!matchesPattern(text), JSON.stringify(text));
  }
});

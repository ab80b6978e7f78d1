import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLinear, wholeExpression } from './linear-expression.ts';

test('an attacker finds no text for which an expression takes longer than its length is worth', () => {
  // With backtracking alone this takes longer than the universe is old.
  for (const source of ['(a+)+b', '(a|a)*b', '(.*)*c', '(a?){16}a{16}b', '([a-z]+)*\\d'])
    assert.equal(wholeExpression(source)?.test('a'.repeat(4096)), false, source);
  assert.equal(wholeExpression('/(users|orders)/[^/]+')?.test('/orders/7'), true);
  assert.equal(wholeExpression('('), undefined);
});

test('what cannot be matched in linear time is known', () => {
  for (const source of ['(a)\\1', '(?=a)b', 'a{17}', '(a{1,100}){1,100}b', '('])
    assert.ok(!isLinear(source), source);
  for (const source of ['.*', 'a{16}', '(x|y)*?', '[0-9a-f]{8}-[0-9a-f]{4}', '\\bfoo\\b'])
    assert.ok(isLinear(source), source);
});

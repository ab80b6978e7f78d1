import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchesExpression, routeExpression } from './expression.ts';

test('the whole value must match', () => {
  const expression = routeExpression('a|b+');
  assert.deepEqual(
    ['a', 'bb', 'ab', 'xa', ''].map((value) => matchesExpression(expression, value)),
    [true, true, false, false, false],
  );
});

test('an expression that does not compile matches nothing', () => {
  assert.equal(matchesExpression(routeExpression('('), ''), false);
});

test('an attacker who finds an expression that goes back exponentially does not stop the proxy', () => {
  // Years, where nothing bounds it: the test would end by its time limit.
  for (const source of ['/(a+)+', '/(a|a)*', '/([^/]*/?)*!', '(/?\\w+)+']) {
    const expression = routeExpression(source);
    assert.equal(matchesExpression(expression, `/${'a'.repeat(4000)}?`), false, source);
    assert.equal(matchesExpression(expression, `/${'a'.repeat(40)}${source.endsWith('!') ? '!' : ''}`), true);
  }
});

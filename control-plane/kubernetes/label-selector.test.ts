import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selectorMatches } from './label-selector.ts';

test('all requirements of a selector must be met', () => {
  const labels = { mesh: 'blue', env: 'b' };
  const cases: [string, boolean][] = [
    ['', true],
    ['mesh=blue', true],
    ['mesh==blue', true],
    ['mesh = blue', true],
    ['mesh=red', false],
    ['mesh!=red', true],
    ['mesh!=blue', false],
    ['none!=x', true],
    ['mesh', true],
    ['none', false],
    ['!none', true],
    ['!mesh', false],
    ['env in (a, b)', true],
    ['env in (a),mesh=blue', false],
    ['env notin (a)', true],
    ['none notin (a)', true],
    ['none in (a)', false],
    ['mesh=blue,env in (a,b),!none', true],
  ];
  for (const [selector, matches] of cases) assert.equal(selectorMatches(selector, labels), matches, selector);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { cookieValue } from './cookie.ts';

const value = (name: string, ...lines: string[]) =>
  cookieValue(
    exchangeFor(
      '/',
      lines.map((line) => `Cookie: ${line}`),
    ).head,
    name,
  );

test('a cookie is found among others, in one line or several, and the first of a name counts', () => {
  assert.equal(value('a', 'a=1'), '1');
  assert.equal(value('b', 'a=1; b=2; c=3'), '2');
  assert.equal(value('c', 'a=1;c=3;b=2'), '3');
  assert.equal(value('c', 'a=1; b=2', 'c=3'), '3');
  assert.equal(value('a', 'a=1; a=2', 'a=3'), '1');
  assert.equal(value('a', 'a=x=y; b=2'), 'x=y');
});

test('what only looks like it is not taken for it', () => {
  for (const line of ['', 'b=a=1', 'xa=1', 'a', 'A=1', 'a=', 'a =1', ';;;', 'ab=1; ba=1'])
    assert.equal(value('a', line), '', line);
  assert.equal(value('a'), '');
});

test('a line of nothing but semicolons takes no time that grows faster than it', () => {
  assert.equal(value('a', `${';'.repeat(8000)} a=1`), '1');
});

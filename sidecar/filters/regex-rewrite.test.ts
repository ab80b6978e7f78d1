import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rewrite } from '../../protocol/steering.ts';
import { exchangeFor, headOf } from '../../test/fixture/request-exchange.ts';
import { fieldLines } from '../http1/field-lines.ts';
import { regexRewrite } from './regex-rewrite.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };
const path = (expression: string, replacement: string): Rewrite => ({
  what: 'path',
  name: '',
  expression,
  replacement,
});

function rewritten(target: string, ...rewrites: Rewrite[]): string {
  const exchange = exchangeFor(target);
  assert.equal(regexRewrite(rewrites).onRequest?.(exchange, unused), undefined);
  return exchange.target;
}

test('a path that an expression matches as a whole is replaced; the query stays', () => {
  const numbers = path('/orders/(\\d+)/(.*)', '/v2/$2/of/$1');
  assert.equal(rewritten('/orders/12/lines?a=/orders/1/x', numbers), '/v2/lines/of/12?a=/orders/1/x');
  assert.equal(rewritten('/orders/x/lines', numbers), '/orders/x/lines');
  assert.equal(rewritten('/in/orders/12/lines', numbers), '/in/orders/12/lines');
  assert.equal(rewritten('/a/b', path('/a(/.*)', '$1')), '/b');
  assert.equal(rewritten('/ab', path('/a(.*)', '$1')), '/b', 'a path begins with /');
  assert.equal(rewritten('/a', path('/a', '/b'), path('/b', '/c')), '/c', 'one after the other');
  assert.equal(rewritten('/a$', path('/a(.)', '/$$$1')), '/$$');
});

test('an attacker who hides dots in a group does not get out of the path that it is put into', () => {
  const open = path('/files-(.*)', '/files/$1');
  for (const target of ['/files-../admin', '/files-..', '/files-%2e%2E/%2e%2e/admin', '/files-a/%2e./../b?c'])
    assert.equal(rewritten(target, open), target);
  assert.equal(rewritten('/a.-./b', path('/a(.)-(.)/b', '/in/$1$2/b')), '/a.-./b');
  assert.equal(rewritten('/files-..a/b..', open), '/files/..a/b..');
});

test('a value that is too long to be looked at stays as it is', () => {
  const long = `/${'a'.repeat(4096)}`;
  assert.equal(rewritten(long, path('/a*', '/b')), long);
});

test('request headers: every line of a name, and none where no line matches', () => {
  const user: Rewrite = { what: 'header', name: 'x-user', expression: '(.*)@.*', replacement: '$1' };
  const filter = regexRewrite([user]);
  const exchange = exchangeFor('/', ['X-User: ann@shop', 'X-Other: a@b', 'x-user: bob']);
  filter.onRequest?.(exchange, unused);
  assert.equal(
    fieldLines(exchange.head) + exchange.requestFields,
    'Host: app\r\nX-Other: a@b\r\nx-user: ann\r\nx-user: bob\r\n',
  );
  const other = exchangeFor('/', ['X-User: bob']);
  filter.onRequest?.(other, unused);
  assert.equal(fieldLines(other.head) + other.requestFields, 'Host: app\r\nX-User: bob\r\n');
  assert.equal(filter.onResponse, undefined);
});

test('response headers', () => {
  const filter = regexRewrite([
    { what: 'response-header', name: 'location', expression: 'http:(.*)', replacement: 'https:$1' },
  ]);
  const head = headOf('response', 'HTTP/1.1 302 Found\r\nLocation: http://a/b\r\nContent-Length: 0\r\n\r\n');
  const exchange = exchangeFor('/');
  filter.onResponse?.(exchange, head);
  assert.equal(exchange.responseFields, 'location: https://a/b\r\n');
  assert.doesNotMatch(fieldLines(head), /location/i);
  assert.equal(filter.onRequest, undefined);
});

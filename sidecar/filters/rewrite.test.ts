import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteMatch, RouteRule } from '../../protocol/route.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import type { Exchange } from '../exchange.ts';
import { fieldLines } from '../http1/field-lines.ts';
import { replacePrefix } from './prefix.ts';
import { rewrite } from './rewrite.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

function match(path?: RouteMatch['path']): RouteMatch {
  return { headers: [], query: [], ...(path !== undefined && { path }) };
}

const prefixed = (...values: string[]) => values.map((value) => match({ type: 'PathPrefix', value }));

function rewritten(
  target: string,
  change: NonNullable<RouteRule['rewrite']>,
  matches: RouteMatch[] = [],
): Exchange {
  const exchange = exchangeFor(target, ['X-A: 1']);
  const verdict = rewrite({ matches, backends: [], rewrite: change }).onRequest?.(exchange, unused);
  assert.equal(verdict, undefined);
  return exchange;
}

test('a prefix is replaced by whole segments', () => {
  for (const [path, prefix, replacement, expected] of [
    ['/v1/a', '/v1', '/v2', '/v2/a'],
    ['/v1', '/v1', '/v2', '/v2'],
    ['/v1/', '/v1', '/v2', '/v2/'],
    ['/v1/a', '/v1/', '/v2/', '/v2/a'],
    ['/v1', '/v1/', '/v2/', '/v2'],
    ['/v1', '/v1', '/', '/'],
    ['/v1/a/b', '/v1', '/', '/a/b'],
    ['/a', '/', '/in', '/in/a'],
    ['/', '/', '/in', '/in/'],
    ['/', '/', '/', '/'],
    ['/v1//a', '/v1', '/v2', '/v2//a'],
  ] as const)
    assert.equal(replacePrefix(path, prefix, replacement), expected, `${path}: ${prefix} by ${replacement}`);
});

test('the prefix that the rule matched is replaced, and the query stays', () => {
  assert.equal(rewritten('/v1/a?b=/v1/c', { prefix: '/v2' }, prefixed('/v1')).target, '/v2/a?b=/v1/c');
  assert.equal(rewritten('/a?', { prefix: '/in' }).target, '/in/a');
});

test('of several prefixes of a rule the longest that the path has is replaced', () => {
  const matches = prefixed('/api/v1', '/api', '/old/');
  const target = (path: string) => rewritten(path, { prefix: '/new' }, matches).target;
  assert.equal(target('/api/v1/a'), '/new/a');
  assert.equal(target('/api/v2/a'), '/new/v2/a');
  assert.equal(target('/api/v10'), '/new/v10');
  assert.equal(target('/old/a'), '/new/a');
  assert.equal(target('/old'), '/new');
});

test('a path that the rule took for another reason than a prefix gets the new prefix before it', () => {
  const matches = [...prefixed('/v1'), match({ type: 'Exact', value: '/exact' })];
  assert.equal(rewritten('/exact', { prefix: '/in' }, matches).target, '/in/exact');
});

test('a whole path is replaced, and the query stays', () => {
  assert.equal(rewritten('/a/b?c', { path: '/d' }).target, '/d?c');
  assert.equal(rewritten('/a/b', { path: '/d' }).target, '/d');
});

test('the host is replaced in the one Host line; the path stays', () => {
  const exchange = rewritten('/a', { hostname: 'inner.example' });
  assert.equal(fieldLines(exchange.head), 'X-A: 1\r\n');
  assert.equal(exchange.requestFields, 'host: inner.example\r\n');
  assert.equal(exchange.target, '/a');
});

test('a rule that rewrites nothing changes nothing', () => {
  const exchange = rewritten('/a?b', {});
  assert.equal(exchange.target, '/a?b');
  assert.equal(exchange.requestFields, '');
  assert.equal(fieldLines(exchange.head), 'Host: app\r\nX-A: 1\r\n');
});

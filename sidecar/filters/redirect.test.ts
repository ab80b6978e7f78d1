import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor, headOf } from '../../test/fixture/request-exchange.ts';
import { Exchange } from '../exchange.ts';
import { redirect } from './redirect.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

function answered(exchange: Exchange, to: Parameters<typeof redirect>[0]) {
  const verdict = redirect(to).onRequest?.(exchange, unused);
  assert.ok(typeof verdict === 'object');
  return verdict;
}

function location(target: string, host: string, to: Parameters<typeof redirect>[0]): string | undefined {
  return answered(exchangeFor(target, [], { host }), to).fields;
}

test('what the route leaves open is that of the request', () => {
  assert.equal(location('/a?b=c', 'Shop.example', {}), 'location: http://shop.example/a?b=c\r\n');
  assert.equal(location('/a', 'shop', { scheme: 'https' }), 'location: https://shop/a\r\n');
  assert.equal(location('/a', '[::1]:80', { scheme: 'https' }), 'location: https://[::1]/a\r\n');
});

test('host, port and path of the route take the place of those of the request', () => {
  assert.equal(
    location('/a?b', 'shop:8080', { scheme: 'https', hostname: 'www.example', port: 8443, path: '/new' }),
    'location: https://www.example:8443/new?b\r\n',
  );
});

test('the port is left out where it is the usual one of the scheme', () => {
  for (const [scheme, port] of [
    ['http', 80],
    ['https', 443],
  ] as const)
    assert.equal(location('/', 'shop:8080', { scheme, port }), `location: ${scheme}://shop/\r\n`);
  assert.equal(location('/', 'shop', { scheme: 'https', port: 80 }), 'location: https://shop:80/\r\n');
});

test('a scheme that is named brings its own port; else the port is that of the listener, or of the request', () => {
  assert.equal(location('/', 'shop:8080', { scheme: 'https' }), 'location: https://shop/\r\n');
  assert.equal(location('/', 'shop:8080', {}), 'location: http://shop:8080/\r\n');
  assert.equal(location('/', 'shop:80', {}), 'location: http://shop/\r\n');
  const exchange = exchangeFor('/', [], { host: 'shop:8080' });
  exchange.scheme = 'https';
  exchange.listenerPort = 443;
  assert.equal(answered(exchange, {}).fields, 'location: https://shop/\r\n');
  assert.equal(answered(exchange, { scheme: 'http' }).fields, 'location: http://shop/\r\n');
  exchange.listenerPort = 8443;
  assert.equal(answered(exchange, {}).fields, 'location: https://shop:8443/\r\n');
});

test('the prefix that matched is replaced, and the rest of the path and the query stay', () => {
  const matches = [{ path: { type: 'PathPrefix' as const, value: '/original' }, headers: [], query: [] }];
  const to = (target: string, prefix: string) => {
    const verdict = redirect({ prefix }, matches).onRequest?.(
      exchangeFor(target, [], { host: 'shop' }),
      unused,
    );
    return typeof verdict === 'object' ? verdict.fields : undefined;
  };
  assert.equal(to('/original/lemon?a', '/new'), 'location: http://shop/new/lemon?a\r\n');
  assert.equal(to('/original', '/'), 'location: http://shop/\r\n');
  assert.equal(to('/original/', '/new/'), 'location: http://shop/new/\r\n');
});

test('the status is that of the route, 302 without one, and the answer says why', () => {
  const exchange = exchangeFor('/a');
  exchange.routeWhy = 'rule 1 of shop/moved';
  const { status, code, detail } = answered(exchange, { status: 308 });
  assert.deepEqual([status, code, detail], [308, 'redirect', 'rule 1 of shop/moved']);
  assert.equal(answered(exchange, {}).status, 302);
});

test('an attacker whose Host or target would write header lines or another host into Location is refused before', () => {
  for (const host of [
    'a\rset-cookie: x',
    'a\nset-cookie: x',
    'a/evil.example',
    'a@evil.example',
    'a?x',
    'a#x',
    'a b',
    'a\\b',
  ])
    assert.throws(() => exchangeFor('/', [], { host }), Error, host);
  for (const target of ['/\r\nset-cookie:x', '/\x00', '/#x', '/\xe9'])
    assert.throws(() => exchangeFor(target), Error, target);
});

test('an attacker who writes a host into the path, or names a port that is none, stays behind the first host', () => {
  assert.equal(location('//evil.example', 'shop', {}), 'location: http://shop//evil.example\r\n');
  assert.equal(location('/', 'shop:evil.example', {}), 'location: http://shop/\r\n');
});

test('an attacker who sends no Host cannot make the path the host', () => {
  const head = headOf('request', 'GET /evil.example/ HTTP/1.0\r\n\r\n');
  const exchange = new Exchange('gateway', head);
  exchange.begin(head, 0);
  const answer = answered(exchange, {});
  assert.deepEqual([answer.status, answer.code, answer.fields], [400, 'bad-host', undefined]);
  assert.equal(
    answered(exchange, { hostname: 'shop' }).fields,
    'location: http://shop/evil.example/\r\n',
    'a route that names the host needs none',
  );
});

test('a redirect to another path keeps the query', () => {
  assert.equal(location('/old?a=1', 'shop', { path: '/new' }), 'location: http://shop/new?a=1\r\n');
  assert.equal(location('/old', 'shop', { path: '/new' }), 'location: http://shop/new\r\n');
});

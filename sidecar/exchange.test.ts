import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor, headOf } from '../test/fixture/request-exchange.ts';
import { Exchange } from './exchange.ts';
import type { MessageHead } from './http/message-head.ts';

test('a target is taken apart at its first question mark', () => {
  for (const [target, path, query] of [
    ['/a/b?c=d', '/a/b', 'c=d'],
    ['/a', '/a', ''],
    ['/a?', '/a', ''],
    ['/?a?b', '/', 'a?b'],
    ['//a?/b', '//a', '/b'],
  ] as const) {
    const exchange = exchangeFor(target);
    assert.deepEqual([exchange.target, exchange.path, exchange.query], [target, path, query]);
  }
});

test('the host is that of Host in lower case, without port and final dot', () => {
  for (const [host, name] of [
    ['Orders.Shop', 'orders.shop'],
    ['orders:8080', 'orders'],
    ['orders.', 'orders'],
    ['ORDERS.shop.:80', 'orders.shop'],
    ['[::1]', '[::1]'],
    ['[FE80::1]:443', '[fe80::1]'],
    ['127.0.0.1:1', '127.0.0.1'],
  ] as const) {
    assert.equal(exchangeFor('/', [], { host }).host, name, host);
    assert.equal(exchangeFor('/', [], { host }).host, name, `${host}, a second time`);
  }
});

test('a request without Host has no host, whatever the one before it had', () => {
  const exchange = exchangeFor('/', [], { host: 'orders' });
  exchange.begin(headOf('request', 'GET / HTTP/1.0\r\n\r\n'), 1);
  assert.equal(exchange.host, '');
});

test('nothing of one request is left for the next of a connection; the caller stays who it is', () => {
  const exchange = exchangeFor('/one?secret', ['X-A: 1'], { method: 'POST' });
  Object.assign(exchange, {
    peer: 'shop/web',
    peerAddress: '10.0.0.9:1',
    mtls: true,
    id: 'id',
    route: 'r',
    routeWhy: 'why',
    service: 's',
    requestFields: 'a: b\r\n',
    responseFields: 'c: d\r\n',
    status: 500,
    reason: 'upstream-reset',
    detail: 'words',
    requestBytes: 1,
    responseBytes: 2,
  });
  exchange.attempts.push({
    endpoint: 'e',
    startMs: 0,
    durationMs: 1,
    result: '500',
    connectionReused: false,
  });
  exchange.note('p', 'd', 'words');
  const head = headOf('request', 'GET /two HTTP/1.1\r\nHost: b\r\n\r\n');
  exchange.begin(head, 7);
  const fresh = new Exchange('inbound', head);
  fresh.begin(head, 7);
  Object.assign(fresh, { peer: 'shop/web', peerAddress: '10.0.0.9:1', mtls: true });
  assert.deepEqual(exchange, fresh);
});

test('a header is found in any case, and the first of several', () => {
  const exchange = exchangeFor('/', ['X-A: one', 'x-a: two']);
  assert.equal(exchange.header('x-a'), 'one');
  assert.equal(exchange.header('x-b'), undefined);
});

test('notes are kept in the order in which policies decided', () => {
  const exchange = exchangeFor();
  exchange.note('mtls', 'refused', 'one');
  exchange.note('allow', 'allowed', 'two');
  assert.deepEqual(exchange.policies, [
    { policy: 'mtls', decision: 'refused', detail: 'one' },
    { policy: 'allow', decision: 'allowed', detail: 'two' },
  ]);
});

test('a match of the header host finds the authority of HTTP/2 too', () => {
  assert.equal(exchangeFor('/', [], { host: 'App:80' }).header('host'), 'App:80');
  const head = {
    ...headOf('request', 'GET / HTTP/1.0\r\n\r\n'),
    authority: 'app.test',
    get: () => undefined,
  };
  const exchange = new Exchange('gateway', head as unknown as MessageHead); // as far as it is asked
  assert.equal(exchange.header('host'), 'app.test');
  assert.equal(exchange.header('x-none'), undefined);
});

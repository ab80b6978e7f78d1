import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointSchema, isAddress } from './endpoint.ts';

test('an address is a name, an IPv4 or a bracketed IPv6 address with a port', () => {
  for (const text of ['a:1', '127.0.0.1:9001', 'orders.shop.svc:65535', 'my_host:80', '[::1]:9001']) {
    assert.ok(isAddress(text), text);
  }
  assert.ok(isAddress('[2001:db8::7]:443'));
  assert.ok(isAddress('[::ffff:10.0.0.1]:443'));
});

test('ports 0 and 65536, no port, and more than one port are refused', () => {
  for (const text of ['a:0', 'a:65536', 'a:99999', 'a:', 'a', ':80', 'a:80:81', 'a:-1', 'a:8o', 'a:000080']) {
    assert.ok(!isAddress(text), text);
  }
});

test('IPv6 without brackets, and what only looks like IPv6 in brackets, are refused', () => {
  for (const text of ['::1:80', '[::::]:80', '[.]:80', '[1:2]:80', '[127.0.0.1]:80', '[::1:80', '[]:80']) {
    assert.ok(!isAddress(text), text);
  }
});

test('an address with a scheme, credentials, a path, a space or a line end smuggled in is refused', () => {
  for (const text of [
    'http://a:80',
    'u:p@a:80',
    'a:80/x',
    'a b:80',
    'a:80\n',
    '\na:80',
    'a\r\nb:80',
    ' a:80',
  ]) {
    assert.ok(!isAddress(text), JSON.stringify(text));
  }
});

test('an endpoint that says its address only has weight 1 and is ready', () => {
  assert.deepEqual(endpointSchema.parse({ address: 'a:1' }), { address: 'a:1', weight: 1, ready: true });
});

test('an endpoint keeps its weight, zone, identity and readiness', () => {
  const endpoint = { address: 'a:1', weight: 0, zone: 'z', identity: 'shop/orders', ready: false };
  assert.deepEqual(endpointSchema.parse(endpoint), endpoint);
});

test('weights that are no share of a load are refused', () => {
  for (const weight of [-1, 1001, 0.5, Number.NaN, '1']) {
    assert.ok(!endpointSchema.safeParse({ address: 'a:1', weight }).success, String(weight));
  }
});

test('an identity that is no single workload, like a wildcard or a path upwards, is refused', () => {
  for (const identity of ['shop/*', '*', 'orders', 'shop/../admin', 'shop/orders/x', 'Shop/orders', '']) {
    assert.ok(!endpointSchema.safeParse({ address: 'a:1', identity }).success, identity);
  }
});

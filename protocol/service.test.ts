import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameSchema, serviceKey, serviceSchema } from './service.ts';

test('a service that says its name and port only has the defaults', () => {
  assert.deepEqual(serviceSchema.parse({ name: 'orders', port: 8080 }), {
    name: 'orders',
    namespace: 'default',
    port: 8080,
    protocol: 'detect',
    endpoints: [],
    annotations: {},
  });
});

test('endpoints are addresses, or mappings that say more', () => {
  const { endpoints } = serviceSchema.parse({
    name: 'orders',
    port: 1,
    endpoints: ['a:1', { address: 'b:2', weight: 5 }],
  });
  assert.deepEqual(endpoints, [
    { address: 'a:1', weight: 1, ready: true },
    { address: 'b:2', weight: 5, ready: true },
  ]);
});

test('names are those of DNS labels', () => {
  for (const name of ['a', '0', 'a-b', 'x'.repeat(63)]) assert.ok(nameSchema.safeParse(name).success, name);
  for (const name of ['', '-a', 'a-', 'A', 'a.b', 'a_b', 'a/b', '..', 'a\n', '*', 'x'.repeat(64), 'ä', 5]) {
    assert.ok(!nameSchema.safeParse(name).success, String(name));
  }
});

test('the key is namespace and name', () => {
  assert.equal(serviceKey({ namespace: 'shop', name: 'orders' }), 'shop/orders');
});

test('more than 10000 endpoints are refused', () => {
  const endpoints = Array.from({ length: 10_001 }, () => 'a:1');
  assert.ok(!serviceSchema.safeParse({ name: 'a', port: 1, endpoints }).success);
  assert.ok(serviceSchema.safeParse({ name: 'a', port: 1, endpoints: endpoints.slice(1) }).success);
});

test('annotations given as __proto__ change no object', () => {
  const given = JSON.parse('{"name":"a","port":1,"annotations":{"__proto__":{"tulle.dev/mtls":"off"}}}');
  const read = serviceSchema.safeParse(given);
  if (read.success) assert.deepEqual(Object.entries(read.data.annotations), []);
  assert.ok(!('tulle.dev/mtls' in {}));
});

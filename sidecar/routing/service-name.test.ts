import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceKeyOfHost } from './service-name.ts';

test('a name alone is of the own namespace, one with a dot of another', () => {
  assert.equal(serviceKeyOfHost('orders', 'own'), 'own/orders');
  assert.equal(serviceKeyOfHost('orders.shop', 'own'), 'shop/orders');
  assert.equal(serviceKeyOfHost('o-2.s-3', 'own'), 's-3/o-2');
});

test('the long forms of Kubernetes mean the same', () => {
  for (const suffix of ['', '.svc', '.svc.cluster.local'])
    assert.equal(serviceKeyOfHost(`orders.shop${suffix}`, 'own'), 'shop/orders');
});

test('other suffixes are other hosts', () => {
  for (const host of [
    'orders.shop.pod',
    'orders.shop.svc.cluster',
    'orders.shop.svc.cluster.local.evil.example',
    'orders.shop.svc.cluster.remote',
    'orders.shop.cluster.local',
    'orders.shop.svc.',
    'www.orders.shop.svc',
  ])
    assert.equal(serviceKeyOfHost(host, 'own'), undefined, host);
});

test('names are labels of up to 63 letters, digits and hyphens', () => {
  const longest = 'a'.repeat(63);
  assert.equal(serviceKeyOfHost(`${longest}.${longest}`, 'own'), `${longest}/${longest}`);
  for (const name of ['a'.repeat(64), '-a', 'a-', 'a_b', 'A', 'a/b', 'a b', '*', '', 'ä', 'a\n', '[::1]']) {
    assert.equal(serviceKeyOfHost(name, 'own'), undefined, name);
    assert.equal(serviceKeyOfHost(`orders.${name}`, 'own'), undefined, `orders.${name}`);
  }
});

test('an attacker cannot name a key of another shape by slashes or dots', () => {
  for (const host of ['shop/orders', 'orders.shop/x', '../x', 'orders..svc', '.shop', 'orders.'])
    assert.equal(serviceKeyOfHost(host, 'own'), undefined, host);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWorkload, matchesClient, parseSpiffeId, spiffeId } from './spiffe.ts';

test('the SPIFFE ID of a workload, and back', () => {
  const id = spiffeId('example.test', 'shop/orders.v2');
  assert.equal(id, 'spiffe://example.test/ns/shop/sa/orders.v2');
  assert.deepEqual(parseSpiffeId(id), {
    trustDomain: 'example.test',
    namespace: 'shop',
    serviceAccount: 'orders.v2',
  });
});

test('a workload that would write other path segments into the ID is refused', () => {
  for (const workload of [
    'shop',
    'shop/',
    '/orders',
    'shop/a/sa/b',
    'shop/../x',
    'Shop/a',
    'shop/a?',
    'a/b\n',
  ]) {
    assert.throws(() => spiffeId('example.test', workload), {
      name: 'TypeError',
      message: `"${workload}" is not NAMESPACE/SERVICEACCOUNT in lower case, like shop/orders`,
    });
    assert.ok(!isWorkload(workload), workload);
  }
  assert.ok(isWorkload('shop/orders'));
});

test('IDs of another scheme, shape or case, or with something before, after or between, are none', () => {
  const wrong = [
    'https://td/ns/a/sa/b',
    'SPIFFE://td/ns/a/sa/b',
    'spiffe://td/ns/a/sa/b/',
    'spiffe://td/ns/a/sa/b/ns/c/sa/d',
    'spiffe://td/ns/a/sa/b?x',
    'spiffe://td/ns/a/sa/b#x',
    'spiffe://td/ns/a/sa/b\n',
    'x spiffe://td/ns/a/sa/b',
    'spiffe://td:443/ns/a/sa/b',
    'spiffe://u@td/ns/a/sa/b',
    'spiffe://td/ns/a%2fb/sa/c',
    'spiffe://td//ns/a/sa/b',
    'spiffe:///ns/a/sa/b',
    'spiffe://td/ns//sa/b',
    'spiffe://td/ns/a/sa/',
    'spiffe://td/sa/a/ns/b',
    'spiffe://td/ns/A/sa/b',
  ];
  for (const uri of wrong) assert.equal(parseSpiffeId(uri), undefined, JSON.stringify(uri));
});

test('a name alone means the service account of the own namespace', () => {
  assert.ok(matchesClient('web', 'shop', 'shop/web'));
  assert.ok(!matchesClient('web', 'shop', 'other/web'));
  assert.ok(matchesClient('payments/checkout', 'shop', 'payments/checkout'));
  assert.ok(!matchesClient('payments/checkout', 'shop', 'shop/checkout'));
});

test('a namespace with * means all of it', () => {
  assert.ok(matchesClient('payments/*', 'shop', 'payments/checkout'));
  assert.ok(!matchesClient('payments/*', 'payments', 'shop/checkout'));
});

test('a caller whose namespace or name begins or ends like an allowed one is not let in', () => {
  const fooled: [pattern: string, identity: string][] = [
    ['payments/*', 'payments-evil/x'],
    ['payments/*', 'evil-payments/x'],
    ['payments/*', 'x/payments/y'],
    ['payments/*', 'payments'],
    ['payments/checkout', 'payments/checkout-evil'],
    ['payments/checkout', 'payments/check'],
    ['payments/checkout', 'payments-checkout'],
    ['payments.checkout', 'shop/paymentsxcheckout'],
    ['web', 'shop/web2'],
    ['web', 'shop/my-web'],
    ['web', 'evil/shop/web'],
    ['web', 'SHOP/WEB'],
    ['*/*', 'evil/x'],
    ['/*', 'evil/x'],
    ['', 'shop/x'],
  ];
  for (const [pattern, identity] of fooled) {
    assert.ok(!matchesClient(pattern, 'shop', identity), `${pattern} lets ${identity} in`);
  }
});

test('a caller that calls itself * is not every caller', () => {
  assert.ok(!matchesClient('payments/checkout', 'shop', 'payments/*'));
  assert.ok(!matchesClient('web', 'shop', '*'));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { authorize } from './authorize.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

function called(allow: readonly string[], peer: string) {
  const exchange = exchangeFor();
  exchange.peer = peer;
  exchange.peerAddress = '10.0.0.9:4000';
  return { verdict: authorize(allow, 'shop', 'shop/orders').onRequest?.(exchange, unused), exchange };
}

function letIn(allow: readonly string[], peer: string): boolean {
  return called(allow, peer).verdict === undefined;
}

test('a bare name is a service account of the own namespace', () => {
  assert.ok(letIn(['web'], 'shop/web'));
  assert.ok(letIn(['other', 'web'], 'shop/web'));
  assert.ok(!letIn(['web'], 'payments/web'));
});

test('another namespace is named, or let in whole', () => {
  assert.ok(letIn(['payments/checkout'], 'payments/checkout'));
  assert.ok(!letIn(['payments/checkout'], 'shop/checkout'));
  assert.ok(letIn(['payments/*'], 'payments/anything'));
  assert.ok(letIn(['*'], 'shop/anything'));
  assert.ok(!letIn(['*'], 'payments/anything'));
});

for (const [trick, allow, peer] of [
  ['whose name begins with one that is let in', 'web', 'shop/web2'],
  ['whose name ends with one that is let in', 'web', 'shop/my-web'],
  ['whose name is part of one that is let in', 'web', 'shop/we'],
  ['whose namespace begins with one that is let in', 'payments/*', 'payments-evil/checkout'],
  ['whose namespace is part of one that is let in', 'payments/*', 'pay/checkout'],
  ['that calls itself like the pattern', 'payments/*', '*/checkout'],
  ['with a name in another case', 'web', 'shop/WEB'],
  ['with a longer path', 'web', 'shop/web/x'],
  ['that a * in the middle would let in', 'pay*', 'shop/payments'],
  ['that a * of every namespace would let in', '*/*', 'payments/checkout'],
  ['without an identity', '*', ''],
  ['without an identity, by an empty pattern', '', ''],
  ['with an empty service account', 'web', 'shop/'],
] as const) {
  test(`refuses a caller ${trick}`, () => assert.ok(!letIn([allow], peer)));
}

test('nobody is let in by an empty list', () => {
  assert.ok(!letIn([], 'shop/web'));
});

test('an attacker who writes an identity into header lines is taken for nobody', () => {
  const exchange = exchangeFor('/', ['X-Forwarded-Client-Cert: URI=spiffe://mesh.local/ns/shop/sa/web']);
  const verdict = authorize(['web'], 'shop', 'shop/orders').onRequest?.(exchange, unused);
  assert.ok(typeof verdict === 'object' && verdict.status === 403);
});

test('the refusal says who called whom, and by which rule; so does the explanation', () => {
  const { verdict, exchange } = called(['web', 'payments/*'], 'shop/thief');
  assert.deepEqual(verdict, {
    status: 403,
    code: 'not-allowed',
    detail: 'shop/thief may not call shop/orders: tulle.dev/allow "web, payments/*" of shop/orders',
  });
  assert.deepEqual(exchange.policies, [
    {
      policy: 'allow',
      decision: 'refused',
      detail: 'shop/thief is not in tulle.dev/allow "web, payments/*" of shop/orders',
    },
  ]);
});

test('a refused caller without identity is named by its address', () => {
  const { verdict } = called(['web'], '');
  assert.ok(typeof verdict === 'object' && verdict.detail.includes('(10.0.0.9:4000)'));
});

test('who is let in is noted with the rule', () => {
  assert.deepEqual(called(['web'], 'shop/web').exchange.policies, [
    { policy: 'allow', decision: 'allowed', detail: 'tulle.dev/allow "web" of shop/orders' },
  ]);
});

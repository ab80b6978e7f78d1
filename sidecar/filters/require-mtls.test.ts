import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { requireMtls } from './require-mtls.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

test('a call by mTLS passes without a word', () => {
  const exchange = exchangeFor();
  exchange.mtls = true;
  assert.equal(requireMtls('shop/orders').onRequest?.(exchange, unused), undefined);
  assert.deepEqual(exchange.policies, []);
});

test('an attacker in plain text who claims to come by TLS is refused, by address', () => {
  const exchange = exchangeFor('/', ['X-Forwarded-Proto: https', 'X-Forwarded-Client-Cert: Hash=1']);
  exchange.peerAddress = '10.0.0.9:4000';
  const verdict = requireMtls('shop/orders').onRequest?.(exchange, unused);
  assert.ok(typeof verdict === 'object');
  assert.deepEqual([verdict.status, verdict.code], [403, 'mtls-required']);
  assert.match(verdict.detail, /^shop\/orders takes calls by mesh mTLS only .* from 10\.0\.0\.9:4000$/);
  assert.deepEqual(
    exchange.policies.map(({ policy, decision }) => `${policy} ${decision}`),
    ['mtls refused'],
  );
});

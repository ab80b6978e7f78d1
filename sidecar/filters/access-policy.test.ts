import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessPolicy } from '../../protocol/access-policy.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { refuseUnenforced } from './access-policy.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

function policy(namespace: string, name: string): AccessPolicy {
  return {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'AccessPolicy',
    metadata: { namespace, name } as AccessPolicy['metadata'],
    spec: { targetRef: { kind: 'Service', name: 'orders' } as AccessPolicy['spec']['targetRef'] },
  };
}

test('a policy that is not enforced yet lets nobody through, not even by mTLS, and says what to do', () => {
  const exchange = exchangeFor();
  exchange.mtls = true;
  exchange.peer = 'shop/web';
  const filter = refuseUnenforced([policy('shop', 'jwt'), policy('shop', 'keys')], 'shop/orders');
  const verdict = filter.onRequest?.(exchange, unused);
  assert.ok(typeof verdict === 'object');
  assert.deepEqual([verdict.status, verdict.code], [403, 'policy-not-enforced']);
  assert.match(
    verdict.detail,
    /^AccessPolicy shop\/jwt, shop\/keys protects shop\/orders, .*tulle\.dev\/allow$/,
  );
  assert.deepEqual(exchange.policies, [
    { policy: 'access-policy', decision: 'refused', detail: verdict.detail },
  ]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessPolicySchema } from './access-policy.ts';

const POLICY = {
  apiVersion: 'tulle.dev/v1alpha1',
  kind: 'AccessPolicy',
  metadata: { name: 'only-web', namespace: 'shop' },
  spec: {
    targetRef: { group: '', kind: 'Service', name: 'orders' },
    clients: ['web'],
    jwt: [{ issuer: 'https://issuer.test', audiences: ['orders'], jwksUri: 'https://issuer.test/jwks' }],
    apiKeys: { header: 'x-key', secretName: 'keys' },
    methods: ['GET'],
    paths: ['/orders'],
  },
};

const takes = (spec: object) =>
  accessPolicySchema.safeParse({ ...POLICY, spec: { ...POLICY.spec, ...spec } }).success;

test('all that a policy can say is kept', () => {
  assert.deepEqual(accessPolicySchema.parse(POLICY), POLICY);
  const { apiKeys } = accessPolicySchema.parse({
    ...POLICY,
    spec: { ...POLICY.spec, apiKeys: { secretName: 'k' } },
  }).spec;
  assert.equal(apiKeys?.header, 'x-api-key');
});

test('a misspelled restriction is refused, not passed over', () => {
  assert.ok(!takes({ client: ['web'] }));
  assert.ok(!takes({ path: ['/orders'] }));
  assert.ok(!takes({ paths: ['orders'] }));
  assert.ok(!takes({ clients: 'web' }));
  assert.ok(!takes({ jwt: [{ issuer: 'i', audience: ['orders'] }] }));
  assert.ok(!takes({ jwt: [{ issuer: 'i', jwksUri: 'no url' }] }));
  assert.ok(!takes({ apiKeys: {} }));
  assert.ok(!takes({ targetRef: { kind: 'Pod', name: 'orders' } }));
  assert.ok(!takes({ targetRef: undefined }));
});

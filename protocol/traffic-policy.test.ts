import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TRAFFIC_FIELDS, trafficPolicySchema } from './traffic-policy.ts';

const policy = (fields: object) => ({
  apiVersion: 'tulle.dev/v1alpha1',
  kind: 'TrafficPolicy',
  metadata: { name: 'p', namespace: 'shop' },
  spec: { targetRef: { kind: 'Service', name: 'orders' }, ...fields },
});

test('a policy has just the fields that annotations have', () => {
  const all = Object.fromEntries(TRAFFIC_FIELDS.map((field) => [field, 'x']));
  const { spec } = trafficPolicySchema.parse(policy(all));
  assert.deepEqual(spec, { targetRef: { group: '', kind: 'Service', name: 'orders' }, ...all });
  assert.deepEqual(
    Object.keys(trafficPolicySchema.shape.spec.shape).filter((field) => field !== 'targetRef'),
    [...TRAFFIC_FIELDS],
  );
});

test('fields that are no text, that are not known, or of more than 4096 characters are refused', () => {
  const wrong = [{ timeout: 5 }, { coalesce: true }, { timeOut: '5s' }, { allow: 'x'.repeat(4097) }];
  for (const fields of [...wrong, { retries: ['2 on connect'] }, { mtls: null }]) {
    assert.ok(!trafficPolicySchema.safeParse(policy(fields)).success, Object.keys(fields).join());
  }
  assert.ok(!trafficPolicySchema.safeParse({ ...policy({}), apiVersion: 'tulle.dev/v1' }).success);
});

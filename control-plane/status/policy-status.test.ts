import assert from 'node:assert/strict';
import { test } from 'node:test';
import { document, type RawObject, service, TestCluster } from '../registry/kubernetes/cluster.fixture.ts';
import type { WrittenCondition } from './conditions.ts';
import { policyStatus } from './policy-status.ts';

const targetRef = { kind: 'Service', name: 'web' };

/** `Type=Status Reason`, and the words of Accepted. */
function told(object: RawObject, ...others: RawObject[]): { words: string[]; message: string } {
  const mesh = new TestCluster(service('shop/web'), ...others, object);
  const seen = mesh.objects.seen.get(object.kind, 'shop/p');
  assert.ok(seen);
  const { conditions } = policyStatus(seen, mesh.objects, new Date()) as { conditions: WrittenCondition[] };
  return {
    words: conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`),
    message: conditions[0]?.message ?? '',
  };
}

const policy = (spec: object) => document('TrafficPolicy', 'shop/p', { targetRef, ...spec });

test('a policy that is in force as it is written is accepted', () => {
  const { words, message } = told(policy({ timeout: '2s' }));
  assert.deepEqual(words, ['Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs']);
  assert.equal(message, '');
});

test('a wrong value is told with field, value and what was meant', () => {
  const { words, message } = told(policy({ timeout: 'soon' }));
  assert.deepEqual(words, ['Accepted=False Invalid', 'ResolvedRefs=True ResolvedRefs']);
  assert.match(message, /spec\.timeout: "soon" is not.*write/);
});

test('what is understood and not enforced yet is said of a policy that is accepted', () => {
  const { words, message } = told(policy({ cache: '60s' }));
  assert.equal(words[0], 'Accepted=True Accepted');
  assert.match(message, /spec\.cache/);
});

test('a target that is not there, or of another namespace, is told', () => {
  assert.deepEqual(told(policy({ targetRef: { kind: 'Service', name: 'none' } })).words, [
    'Accepted=False TargetNotFound',
    'ResolvedRefs=False TargetNotFound',
  ]);
  assert.deepEqual(told(policy({ targetRef: { ...targetRef, namespace: 'away' } })).words, [
    'Accepted=False RefNotPermitted',
    'ResolvedRefs=False RefNotPermitted',
  ]);
});

test('a policy about a route is accepted where the route and its rule are', () => {
  const route = document('HTTPRoute', 'shop/r', {
    parentRefs: [{ group: '', kind: 'Service', name: 'web' }],
    rules: [{ name: 'one', backendRefs: [{ name: 'web', port: 80 }] }],
  });
  const about = (spec: object) =>
    told(policy({ targetRef: { kind: 'HTTPRoute', name: 'r', ...spec }, fault: 'abort 503 1%' }), route);
  assert.deepEqual(about({ sectionName: 'one' }).words, [
    'Accepted=True Accepted',
    'ResolvedRefs=True ResolvedRefs',
  ]);
  const lost = about({ sectionName: 'two' });
  assert.deepEqual(lost.words, ['Accepted=False TargetNotFound', 'ResolvedRefs=False TargetNotFound']);
  assert.match(lost.message, /spec\.targetRef\.sectionName: two .*; there are one/);
  const wrong = told(policy({ targetRef: { kind: 'HTTPRoute', name: 'r' }, mtls: 'strict' }), route);
  assert.deepEqual(wrong.words[0], 'Accepted=False Invalid');
  assert.match(wrong.message, /spec\.mtls: "strict" protects a service, by whatever route/);
});

test('what this version does not serve is not accepted, and says so', () => {
  const access = document('AccessPolicy', 'shop/p', { targetRef, clients: ['web'] });
  assert.match(told(access).words[0] ?? '', /^Accepted=False /);
  const aggregate = told(document('Aggregate', 'shop/p', {}));
  assert.equal(aggregate.words[0], 'Accepted=False UnsupportedValue');
  assert.match(aggregate.message, /not served by this version/);
});

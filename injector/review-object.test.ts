import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readReview } from './admission-review.ts';
import { reviewOf } from './review.fixture.ts';
import { reviewObject } from './review-object.ts';

function judge(group: string, kind: string, object: unknown, more: Record<string, unknown> = {}) {
  const review = reviewOf(object, { kind: { group, version: 'v1', kind }, ...more });
  return reviewObject(readReview(JSON.stringify(review)), 'tulle-system');
}

const annotated = (annotations: Record<string, string>) => ({ metadata: { name: 'a', annotations } });

function warnings(verdict: ReturnType<typeof judge>): readonly string[] {
  assert.ok(verdict.allowed);
  return verdict.warnings ?? [];
}

function policy(spec: Record<string, unknown>, more: Record<string, unknown> = {}) {
  return {
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'slow', managedFields: [], uid: 'x' },
    spec: { targetRef: { kind: 'Service', name: 'orders' }, ...spec },
    ...more,
  };
}

const judgePolicy = (object: unknown, more = {}) => judge('tulle.dev', 'TrafficPolicy', object, more);

test('a wrong annotation of a Service is warned about, and never stops it', () => {
  const said = warnings(
    judge('', 'Service', annotated({ 'tulle.dev/timeuot': '1s', 'tulle.dev/mtls': 'strct' })),
  );
  assert.deepEqual(said, [
    'annotations.tulle.dev/timeuot: "1s" stands at an annotation that does not exist: tulle.dev/timeuot; perhaps tulle.dev/timeout was meant',
    'annotations.tulle.dev/mtls: "strct" is not an mTLS mode; write strict or permissive',
  ]);
  assert.deepEqual(warnings(judge('', 'Service', annotated({ 'tulle.dev/timeout': '1s', other: '?' }))), []);
  assert.deepEqual(warnings(judge('', 'Service', {})), []);
});

test('a Namespace is asked for the defaults of its services and of its pods, and for its label', () => {
  const object = (label: string, name = 'shop') => ({
    metadata: {
      name,
      labels: { 'tulle.dev/inject': label },
      annotations: { 'tulle.dev/proxy-workers': 'x', 'tulle.dev/retries': 'x' },
    },
  });
  const said = warnings(judge('', 'Namespace', object('true')));
  assert.equal(said.length, 3);
  assert.match(
    said.join('\n'),
    /retries: "x" .*\n.*proxy-workers: "x" is not a number.*\n.*"true" is neither enabled nor disabled/,
  );
  assert.equal(warnings(judge('', 'Namespace', object('enabled'))).length, 2);
  for (const name of ['kube-system', 'tulle-system'])
    assert.match(warnings(judge('', 'Namespace', object('enabled', name)))[2] ?? '', /has no effect here/);
});

test('a document that its schema refuses is denied, with the sentence that says what was meant', () => {
  const denied = judgePolicy(policy({ timout: '1s' }));
  assert.deepEqual(denied, {
    allowed: false,
    code: 422,
    message: 'spec.timout: "timout" is not a field that is known here; perhaps timeout was meant',
  });
  const value = judgePolicy(policy({ mtls: 'strct', timeout: 'soon' }));
  assert.ok(!value.allowed);
  assert.match(
    value.message,
    /spec.timeout: "soon" is not a duration.*\nspec.mtls: "strct" is not an mTLS mode; write strict/,
  );
  const access = judge('tulle.dev', 'AccessPolicy', policy({ clients: 'web' }, { kind: 'AccessPolicy' }));
  assert.match(access.allowed ? '' : access.message, /spec.clients: "web" is not a list/);
});

test('a right document passes, with its status and what the API server adds', () => {
  assert.deepEqual(judgePolicy(policy({ timeout: '1s' }, { status: { conditions: [] } })), {
    allowed: true,
    warnings: [],
  });
  assert.match(warnings(judgePolicy(policy({ cache: '60s' })))[0] ?? '', /not enforced by this version/);
});

test('who changes the finalizers of a document that was wrong before is not stopped', () => {
  const old = policy({ timeout: 'soon' });
  const verdict = judgePolicy(policy({ timeout: 'soon' }), { operation: 'UPDATE', oldObject: old });
  assert.ok(verdict.allowed);
  assert.match(warnings(verdict)[0] ?? '', /"soon" is not a duration/);
  const worse = judgePolicy(policy({ timeout: 'later' }), { operation: 'UPDATE', oldObject: old });
  assert.equal(worse.allowed, false);
});

test('what is deleted, and kinds that are not known, are let through', () => {
  assert.deepEqual(judgePolicy(null, { operation: 'DELETE', oldObject: policy({ x: 1 }) }), {
    allowed: true,
  });
  assert.deepEqual(judge('tulle.dev', 'constructor', {}), { allowed: true });
  assert.deepEqual(judge('tulle.dev', 'Later', { spec: 1 }), { allowed: true });
  assert.deepEqual(judge('apps', 'Service', annotated({ 'tulle.dev/x': 'y' })), { allowed: true });
});

test('a TrafficPolicy about a route is denied what a route cannot say, and one about a Service the name of a rule', () => {
  const about = (targetRef: object, fields: object) => judgePolicy(policy({ targetRef, ...fields }));
  const route = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'a.b', sectionName: 'one' };
  assert.deepEqual(warnings(about(route, { fault: 'abort 503 1%', timeout: '2s' })), []);
  const said = (verdict: ReturnType<typeof judge>) => (verdict.allowed ? '' : verdict.message);
  assert.match(
    said(about(route, { allow: 'web', fault: 'abort 503' })),
    /^spec\.fault: "abort 503" has .*\nspec\.allow: "web" protects a service, by whatever route/,
  );
  for (const kind of ['Service', 'Gateway'])
    assert.match(said(about({ kind, name: 'a', sectionName: 'one' }, {})), /sectionName: "one" names a rule/);
  assert.match(said(about({ kind: 'Gateway', name: 'a' }, { mtls: 'strict' })), /protects a service/);
});

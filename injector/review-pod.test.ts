import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readReview } from './admission-review.ts';
import type { PodNamespace } from './injection-config.ts';
import { CONFIG, container, podOf, SHOP } from './pod.fixture.ts';
import { reviewOf } from './review.fixture.ts';
import { reviewPod } from './review-pod.ts';

function judge(
  object: unknown,
  more: Record<string, unknown> = {},
  namespace: PodNamespace | undefined = SHOP,
) {
  return reviewPod(readReview(JSON.stringify(reviewOf(object, more))), CONFIG, async () => namespace);
}

test('a pod that is created is injected', async () => {
  const { verdict, outcome } = await judge(podOf());
  assert.equal(outcome, 'injected');
  assert.ok(verdict.allowed && (verdict.patch?.length ?? 0) > 0);
});

test('only the creation of a pod is looked at', async () => {
  const others: Record<string, unknown>[] = [
    { operation: 'UPDATE' },
    { operation: 'DELETE' },
    { subResource: 'ephemeralcontainers', operation: 'UPDATE' },
    { subResource: 'eviction' },
    { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } },
    { kind: { group: 'evil.test', version: 'v1', kind: 'Pod' } },
  ];
  for (const other of others)
    assert.deepEqual(await judge(podOf(), other), { verdict: { allowed: true }, outcome: 'ignored' });
});

test('the namespace of the request counts, not what the pod says of itself', async () => {
  const pod = podOf({}, { name: 'a', namespace: 'kube-system' });
  assert.equal((await judge(pod)).outcome, 'injected');
  const system = { ...SHOP, name: 'kube-system' };
  assert.equal(
    (await judge(podOf({}, { namespace: 'shop' }), { namespace: 'kube-system' }, system)).outcome,
    'skipped',
  );
});

test('a namespace that cannot be read now is no reason to run outside the mesh: the API server has chosen the pod', async () => {
  const review = readReview(JSON.stringify(reviewOf(podOf())));
  const { outcome } = await reviewPod(review, CONFIG, async () => undefined);
  assert.equal(outcome, 'injected');
  const system = readReview(JSON.stringify(reviewOf(podOf(), { namespace: 'kube-system' })));
  assert.equal((await reviewPod(system, CONFIG, async () => undefined)).outcome, 'skipped');
});

test('objects in which a pod is only claimed are denied, not guessed about', async () => {
  const objects = [
    null,
    {},
    { spec: null },
    { spec: {} },
    { spec: { containers: {} } },
    { spec: { containers: [null] } },
    { spec: { containers: [{ name: 1 }] } },
    { spec: { containers: [{ name: 'a', args: 'sidecar' }] } },
    { spec: { containers: [], initContainers: 'x' } },
    { spec: { containers: [], volumes: [{}] } },
    { spec: { containers: [{ name: 'a', ports: ['80'] }] } },
  ];
  for (const object of objects) {
    const { verdict } = await judge(object);
    assert.deepEqual(
      verdict,
      { allowed: false, code: 400, message: 'the object is not a pod' },
      JSON.stringify(object),
    );
  }
});

test('to escape the mesh, a pod names its container tulle-proxy: it is denied with the reason', async () => {
  const { verdict, outcome } = await judge(podOf({ containers: [container({ name: 'tulle-proxy' })] }));
  assert.equal(outcome, 'refused');
  assert.ok(!verdict.allowed && verdict.code === 422);
  assert.match(verdict.message, /kept for what Tulle injects/);
});

test('keys called __proto__ in a pod change no object', async () => {
  const text = JSON.stringify(reviewOf(podOf())).replace(
    '"name":"web-1"',
    '"annotations":{"__proto__":"x","a":"b"}',
  );
  const { verdict } = await reviewPod(readReview(text), CONFIG, async () => SHOP);
  assert.ok(verdict.allowed);
  assert.equal(Object.hasOwn(Object.prototype, 'a'), false);
});

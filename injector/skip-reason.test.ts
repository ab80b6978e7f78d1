import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from './meshed-pod.ts';
import { CONFIG, podOf, SHOP } from './pod.fixture.ts';
import { skipReason } from './skip-reason.ts';

const labelled = (value: string): Pod => podOf({}, { labels: { 'tulle.dev/inject': value } });
const namespace = (name: string, value?: string) => ({
  name,
  labels: value === undefined ? {} : { 'tulle.dev/inject': value },
  annotations: {},
});

test("a namespace opts in, and a pod's own label wins", () => {
  assert.equal(skipReason(podOf(), SHOP, CONFIG), undefined);
  assert.match(skipReason(podOf(), namespace('shop'), CONFIG) ?? '', /neither the pod nor its namespace/);
  assert.match(skipReason(podOf(), namespace('shop', 'disabled'), CONFIG) ?? '', /neither/);
  assert.match(
    skipReason(labelled('disabled'), SHOP, CONFIG) ?? '',
    /the pod has the label tulle.dev\/inject: disabled/,
  );
  assert.equal(skipReason(labelled('enabled'), namespace('shop'), CONFIG), undefined);
  assert.equal(skipReason(labelled('enabled'), namespace('shop', 'disabled'), CONFIG), undefined);
});

test('a label that is neither leaves the decision to the namespace', () => {
  assert.equal(skipReason(labelled('yes'), SHOP, CONFIG), undefined);
  assert.match(skipReason(labelled('yes'), namespace('shop'), CONFIG) ?? '', /neither/);
});

test("Kubernetes' own namespaces and Tulle's are never injected, whatever their labels and the pod's say", () => {
  for (const name of ['kube-system', 'kube-node-lease', 'tulle-system'])
    assert.equal(
      skipReason(labelled('enabled'), namespace(name, 'enabled'), CONFIG),
      `namespace ${name} is never injected`,
    );
});

test('pods in which nothing can be captured are left alone', () => {
  assert.match(skipReason(podOf({ hostNetwork: true }), SHOP, CONFIG) ?? '', /network of its node/);
  assert.match(skipReason(podOf({ os: { name: 'windows' } }), SHOP, CONFIG) ?? '', /Windows/);
  assert.match(
    skipReason(podOf({ nodeSelector: { 'kubernetes.io/os': 'windows' } }), SHOP, CONFIG) ?? '',
    /Windows/,
  );
  assert.equal(skipReason(podOf({ os: { name: 'linux' }, hostNetwork: false }), SHOP, CONFIG), undefined);
  const mirror = podOf({}, { annotations: { 'kubernetes.io/config.mirror': 'x' } });
  assert.match(skipReason(mirror, SHOP, CONFIG) ?? '', /mirrors a static pod/);
});

test('offline there is no namespace to ask: a pod is injected unless it says no', () => {
  const offline = { labels: {}, annotations: {} };
  assert.equal(skipReason(podOf(), offline, CONFIG), undefined);
  assert.match(skipReason(labelled('disabled'), offline, CONFIG) ?? '', /disabled/);
});

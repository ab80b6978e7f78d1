import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { V1LabelSelector } from '@kubernetes/client-node';
import { mutatingWebhookConfiguration, validatingWebhookConfiguration } from './webhook-configuration.ts';

const PLACE = {
  name: 'tulle-injector',
  address: { service: { namespace: 'tulle-system', name: 'injector' } },
  systemNamespace: 'tulle-system',
};

type Labels = Record<string, string>;

/** As API servers match labels. */
function matches(selector: V1LabelSelector | undefined, labels: Labels): boolean {
  return (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    const isIn = value !== undefined && values.includes(value);
    return operator === 'In' ? isIn : !isIn;
  });
}

/** How many webhooks are asked about a pod. */
function asked(namespace: string, inject: string | undefined, pod: string | undefined): number {
  const labels = (value: string | undefined): Labels =>
    value === undefined ? {} : { 'tulle.dev/inject': value };
  const { webhooks = [] } = mutatingWebhookConfiguration(PLACE);
  return webhooks.filter(
    ({ namespaceSelector, objectSelector }) =>
      matches(namespaceSelector, { 'kubernetes.io/metadata.name': namespace, ...labels(inject) }) &&
      matches(objectSelector, labels(pod)),
  ).length;
}

test('the injector is asked once about pods that opted in, and about no others', () => {
  assert.equal(asked('shop', 'enabled', undefined), 1);
  assert.equal(asked('shop', 'enabled', 'enabled'), 1);
  assert.equal(asked('shop', 'enabled', 'typo'), 1);
  assert.equal(asked('shop', 'enabled', 'disabled'), 0);
  assert.equal(asked('shop', undefined, 'enabled'), 1);
  assert.equal(asked('shop', 'disabled', 'enabled'), 1);
  for (const inject of [undefined, 'disabled', 'typo'])
    for (const pod of [undefined, 'disabled', 'typo']) assert.equal(asked('shop', inject, pod), 0);
});

test('an injector that is away stops nothing in the namespaces of Kubernetes and Tulle', () => {
  for (const namespace of ['kube-system', 'kube-node-lease', 'tulle-system'])
    for (const inject of [undefined, 'enabled'])
      for (const pod of [undefined, 'enabled']) assert.equal(asked(namespace, inject, pod), 0, namespace);
});

test('pods wait for the injector, and nothing else does', () => {
  const { webhooks: mutating = [] } = mutatingWebhookConfiguration(PLACE);
  const { webhooks: validating = [] } = validatingWebhookConfiguration(PLACE);
  assert.deepEqual([...new Set(mutating.map(({ failurePolicy }) => failurePolicy))], ['Fail']);
  assert.deepEqual([...new Set(validating.map(({ failurePolicy }) => failurePolicy))], ['Ignore']);
  for (const { timeoutSeconds = 10, sideEffects, clientConfig, rules } of [...mutating, ...validating]) {
    assert.ok(timeoutSeconds <= 10);
    assert.equal(sideEffects, 'None');
    assert.equal(clientConfig.service?.name, 'injector');
    assert.equal(clientConfig.caBundle, undefined, 'the injector fills it in');
    assert.ok(rules?.every(({ operations }) => !operations?.includes('*')));
  }
});

test('a test limits its webhooks to its own namespaces', () => {
  const place = { ...PLACE, address: { url: 'https://10.0.0.1:1' }, onlyNamespaces: { a: 'b' } };
  const { webhooks = [] } = mutatingWebhookConfiguration(place);
  for (const { namespaceSelector, clientConfig } of webhooks) {
    assert.deepEqual(namespaceSelector?.matchLabels, { a: 'b' });
    assert.equal(clientConfig.url, 'https://10.0.0.1:1/inject');
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { annotated, injected, named, podOf } from './pod.fixture.ts';
import { proxyResources } from './proxy-resources.ts';

test('an idle proxy fits into what is asked for by default, and nothing cuts it off', () => {
  assert.deepEqual(proxyResources(podOf(), {}), {
    resources: { requests: { cpu: '50m', memory: '96Mi' } },
    warnings: [],
  });
});

test('what the installation says takes the place of the default, and annotations the place of that', () => {
  const requests = { cpu: '10m', memory: '80Mi' };
  const { pod } = injected(podOf(), undefined, { requests });
  assert.deepEqual(named(pod, 'tulle-proxy').resources, { requests });
  const { pod: tuned } = injected(annotated({ 'tulle.dev/proxy-cpu-request': '1' }), undefined, { requests });
  assert.deepEqual(named(tuned, 'tulle-proxy').resources, { requests: { ...requests, cpu: '1' } });
});

test('a request above the limit, which the API server would refuse, is lowered', () => {
  assert.deepEqual(proxyResources(podOf(), { cpuLimit: '20m', memoryLimit: '64Mi' }), {
    resources: { limits: { cpu: '20m', memory: '64Mi' }, requests: { cpu: '20m', memory: '64Mi' } },
    warnings: [],
  });
  const { resources, warnings } = proxyResources(podOf(), { cpuRequest: '2', cpuLimit: '1500m' });
  assert.equal(resources.requests?.cpu, '1500m');
  assert.match(warnings[0] ?? '', /proxy-cpu-request: "2" is more than the limit; 1500m is asked for/);
});

test('a pod that has a budget as a whole is not made to exceed it', () => {
  const pod = podOf({ resources: { requests: { cpu: '10m' } } });
  assert.deepEqual(proxyResources(pod, {}).resources, {});
  assert.deepEqual(proxyResources(pod, { cpuRequest: '1m' }).resources, { requests: { cpu: '1m' } });
});

test('capture has the resources of the proxy, so that a Guaranteed pod can stay one', () => {
  const { pod } = injected(
    annotated({
      'tulle.dev/proxy-cpu-request': '1',
      'tulle.dev/proxy-cpu-limit': '1',
      'tulle.dev/proxy-memory-request': '128Mi',
      'tulle.dev/proxy-memory-limit': '128Mi',
    }),
  );
  const expected = { limits: { cpu: '1', memory: '128Mi' }, requests: { cpu: '1', memory: '128Mi' } };
  assert.deepEqual(named(pod, 'tulle-proxy').resources, expected);
  assert.deepEqual(named(pod, 'tulle-capture').resources, expected);
});

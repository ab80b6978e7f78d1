import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from './meshed-pod.ts';
import { standing } from './own-containers.ts';
import { annotated, CONFIG, container, injected, named, podOf } from './pod.fixture.ts';

/** A pod that was injected, and then changed by somebody. */
function tampered(change: (pod: Pod) => void): Pod {
  const { pod } = injected(podOf());
  change(pod);
  return pod;
}

test('a pod is injected or it is not', () => {
  assert.deepEqual(standing(podOf(), CONFIG), { kind: 'none' });
  assert.deepEqual(standing(injected(podOf()).pod, CONFIG), { kind: 'ours', native: true });
  const plain = injected(annotated({ 'tulle.dev/native-sidecar': 'disabled' })).pod;
  assert.deepEqual(standing(plain, CONFIG), { kind: 'ours', native: false });
});

test('to escape the mesh, an attacker names his own container tulle-proxy, or takes a part of ours away', () => {
  const pods: Record<string, Pod> = {
    'a container of the name alone': podOf({ containers: [container({ name: 'tulle-proxy' })] }),
    'an init container that ends': podOf({
      initContainers: [container({ name: 'tulle-proxy', args: ['sidecar'] })],
    }),
    'a capture alone': podOf({ initContainers: [container({ name: 'tulle-capture', args: ['capture'] })] }),
    'a proxy without capture': tampered(({ spec }) => spec.initContainers?.shift()),
    'a capture that is an application': tampered(({ spec }) => {
      const capture = spec.initContainers?.shift();
      if (capture !== undefined) spec.containers.push(capture);
    }),
    'a proxy that runs something else': tampered((pod) => {
      named(pod, 'tulle-proxy').command = ['sleep', 'infinity'];
    }),
    'a proxy whose own connections would be captured': tampered((pod) => {
      named(pod, 'tulle-proxy').securityContext = { runAsUser: 1000 };
    }),
    'a proxy that ends before the application starts': tampered((pod) => {
      delete named(pod, 'tulle-proxy').restartPolicy;
    }),
    'a capture that never ends': tampered((pod) => {
      named(pod, 'tulle-capture').restartPolicy = 'Always';
    }),
    'a capture that captures nothing': tampered((pod) => {
      named(pod, 'tulle-capture').command = ['true'];
    }),
    'a proxy with other arguments': tampered((pod) => {
      named(pod, 'tulle-proxy').args = ['version'];
    }),
    'a proxy without arguments': tampered((pod) => {
      delete named(pod, 'tulle-proxy').args;
    }),
    'a volume of the name': podOf({ volumes: [{ name: 'tulle-identity', emptyDir: {} }] }),
  };
  for (const [what, pod] of Object.entries(pods)) {
    const found = standing(pod, CONFIG);
    assert.equal(found.kind, 'foreign', what);
    assert.match(
      found.kind === 'foreign' ? found.reason : '',
      /is kept for what Tulle injects.*rename it, or keep the pod out/,
    );
  }
});

test('without an init container for it, traffic is captured where a CNI plugin does it', () => {
  const { pod } = injected(podOf(), undefined, { cni: true });
  assert.equal(standing(pod, { ...CONFIG, cni: true }).kind, 'ours');
  assert.equal(standing(pod, CONFIG).kind, 'foreign');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyPatch } from './apply-patch.fixture.ts';
import type { InjectionConfig } from './injection-config.ts';
import type { Pod } from './meshed-pod.ts';
import { annotated, container, injected, named, podOf, SHOP } from './pod.fixture.ts';
import { uninjectPod } from './pod-unpatch.ts';

function uninjected(pod: Pod): Pod {
  return applyPatch(pod, uninjectPod(pod) ?? assert.fail('it is not injected'));
}

const probes = {
  startupProbe: { tcpSocket: { port: 'db', host: '' }, failureThreshold: 3 },
  readinessProbe: { tcpSocket: { port: 5432 } },
  livenessProbe: { httpGet: { port: 80 } },
  ports: [{ name: 'db', containerPort: 5432 }],
};

const PODS: Record<string, Pod> = {
  'the smallest': podOf(),
  'a template without metadata': { spec: podOf().spec },
  'metadata that is empty': podOf({}, {}),
  'labels and annotations that are empty': podOf({}, { labels: {}, annotations: {} }),
  'lists that are empty': podOf({ initContainers: [], volumes: [] }),
  'labels and annotations of others': podOf({}, { labels: { a: 'b' }, annotations: { c: 'd' } }),
  'TCP probes, by name and number': podOf({
    containers: [container(probes), container({ name: 'b', ...probes })],
  }),
  'a lifecycle that is empty': podOf({ containers: [container({ lifecycle: {} })] }),
  'hooks of the application': podOf({
    containers: [
      container({ lifecycle: { postStart: { exec: { command: ['a'] } } } }),
      container({ name: 'b', lifecycle: { preStop: { sleep: { seconds: 5 } } } }),
    ],
  }),
  'volumes and init containers': podOf({
    volumes: [{ name: 'v', emptyDir: {} }],
    initContainers: [container({ name: 'i' }), container({ name: 's', restartPolicy: 'Always', ...probes })],
  }),
  'a plain container': annotated(
    { 'tulle.dev/native-sidecar': 'disabled' },
    { initContainers: [container({ name: 'i' })] },
  ),
  'a plain container, with a default container': annotated({
    'tulle.dev/native-sidecar': 'disabled',
    'kubectl.kubernetes.io/default-container': 'web',
  }),
  'no time to wait in': podOf({ terminationGracePeriodSeconds: 1 }),
};

test('inject, then uninject: the pod as it was', () => {
  const configs: Partial<InjectionConfig>[] = [{}, { cni: true }, { cluster: { major: 1, minor: 28 } }];
  for (const config of configs) {
    for (const [what, pod] of Object.entries(PODS))
      assert.deepEqual(uninjected(injected(pod, SHOP, config).pod), pod, what);
  }
});

test('what somebody has edited since stays', () => {
  const { pod } = injected(podOf({ containers: [container({ livenessProbe: { tcpSocket: { port: 1 } } })] }));
  const web = named(pod, 'web');
  web.livenessProbe = { httpGet: { port: 80, path: '/mine' } };
  web.lifecycle = { preStop: { exec: { command: ['mine'] } } };
  web.image = 'web:2';
  pod.spec.containers.push(container({ name: 'later' }));
  pod.metadata = { ...pod.metadata, labels: { ...pod.metadata?.labels, later: 'too' } };
  assert.deepEqual(uninjected(pod), {
    metadata: { name: 'web-1', labels: { later: 'too' } },
    spec: { containers: [web, container({ name: 'later' })] },
  });
});

test('a pod that is not injected has nothing to take out', () => {
  assert.equal(uninjectPod(podOf()), undefined);
  assert.equal(uninjectPod(annotated({ 'tulle.dev/changes': '{"preStop":["web"]}' })), undefined);
});

test('an annotation about changes that somebody else wrote takes nothing from the application', () => {
  for (const changes of [
    '',
    '?',
    '[]',
    '{"preStop":"web"}',
    '{"tcpProbes":{"web.image":{"port":1}}}',
    '{"x":1}',
    'null',
  ]) {
    const { pod } = injected(podOf());
    pod.metadata = { ...pod.metadata, annotations: { 'tulle.dev/changes': changes } };
    const { spec } = uninjected(pod);
    assert.deepEqual(
      spec.containers,
      [container({ lifecycle: { preStop: { sleep: { seconds: 5 } } } })],
      changes,
    );
  }
});

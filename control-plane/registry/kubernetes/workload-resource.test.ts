import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  document,
  endpoint,
  namespace,
  pod,
  service,
  slice,
  TestCluster,
  UNMESHED,
} from './cluster.fixture.ts';

const portsOf = (cluster: TestCluster, key: string) =>
  cluster
    .workload(key)
    ?.ports.map(({ port, protocol, services }) => [port, protocol, ...services.map((one) => one.key)]);

test('the ports of a pod by the selectors of Services, also named ones, before any slice has it', () => {
  const cluster = new TestCluster(
    service('shop/web', {
      ports: [
        { name: 'http', port: 80, targetPort: 'web' },
        { name: 'x', port: 81, targetPort: 'none' },
      ],
    }),
    service('shop/also', {
      selector: { app: 'web' },
      ports: [{ port: 8080 }, { name: 'udp', port: 9, protocol: 'UDP' }],
    }),
    service('shop/other'),
    service('away/web'),
    pod('shop/a', '', 'web', { status: { podIP: undefined, podIPs: undefined, phase: 'Pending' } }),
  );
  assert.deepEqual(portsOf(cluster, 'shop/a'), [[8080, 'http', 'shop/also:8080', 'shop/web:80']]);
  assert.equal(cluster.workload('shop/a')?.identity, 'shop/web');
});

test('the ports of a pod whose address someone wrote into a slice', () => {
  const cluster = new TestCluster(
    service('shop/out', { selector: undefined }),
    slice('shop/out-1', 'out', [endpoint('10.1.0.1')], { ports: [{ name: 'http', port: 7000 }] }),
    pod('shop/a', '10.1.0.1', 'web'),
  );
  assert.deepEqual(portsOf(cluster, 'shop/a'), [[7000, 'http', 'shop/out:80']]);
});

test("a tenant who writes another namespace's pod into his slice neither opens nor closes its ports", () => {
  const cluster = new TestCluster(
    namespace('shop', { annotations: { 'tulle.dev/allow': 'front', 'tulle.dev/mtls': 'strict' } }),
    service('shop/web', {}, { creationTimestamp: '2026-02-01T00:00:00Z' }),
    pod('shop/a', '10.1.0.1', 'web'),
  );
  cluster.follow('workload shop/a', 'service shop/a.pod:8080');
  const changed = cluster.put(
    service(
      'evil/own',
      { selector: undefined, ports: [{ name: 'http', port: 80, appProtocol: 'tcp' }] },
      { annotations: { 'tulle.dev/allow': 'evil/*', 'tulle.dev/timeout': '1ms' } },
    ),
    slice('evil/own-1', 'own', [endpoint('10.1.0.1')], { ports: [{ name: 'http', port: 8080 }] }),
    slice('evil/own-2', 'own', [endpoint('10.1.0.1', 'a')], { ports: [{ name: 'http', port: 9090 }] }),
  );
  assert.deepEqual(changed, []);
  assert.deepEqual(portsOf(cluster, 'shop/a'), [[8080, 'http', 'shop/web:80']]);
});

test('a targetPort that is called like what every object has is no port', () => {
  const cluster = new TestCluster(
    service('shop/web', { ports: [{ name: 'http', port: 80, targetPort: 'constructor' }] }),
    pod('shop/a', '10.1.0.1', 'web'),
  );
  assert.deepEqual(portsOf(cluster, 'shop/a'), []);
});

test('a pod without sidecar has no workload', () => {
  const cluster = new TestCluster(pod('shop/a', '10.1.0.1', 'web', { spec: UNMESHED }));
  assert.equal(cluster.workload('shop/a'), undefined);
});

test('a pod that is deleted, a Service that comes and goes, labels and policies change the workload', () => {
  const cluster = new TestCluster(
    namespace('shop'),
    pod('shop/a', '10.1.0.1', 'web'),
    pod('shop/b', '10.1.0.2', 'b'),
  );
  cluster.follow('workload shop/a', 'workload shop/b');
  const changed = ['workload shop/a'];
  assert.deepEqual(cluster.put(service('shop/web')), changed);
  assert.deepEqual(
    cluster.put(service('shop/web', {}, { annotations: { 'tulle.dev/mtls': 'strict' } })),
    changed,
  );
  assert.equal(cluster.workload('shop/a')?.ports[0]?.services[0]?.settings.mtls, 'strict');
  const policy = document('TrafficPolicy', 'shop/p', {
    targetRef: { kind: 'Service', name: 'web' },
    allow: 'front',
  });
  assert.deepEqual(cluster.put(policy), changed);
  assert.deepEqual(cluster.workload('shop/a')?.ports[0]?.services[0]?.settings.allow, ['front']);
  assert.deepEqual(cluster.remove(policy), changed);
  const access = document('AccessPolicy', 'shop/p', {
    targetRef: { kind: 'Service', name: 'web' },
    clients: ['front'],
  });
  assert.deepEqual(cluster.put(access), changed);
  assert.equal(cluster.workload('shop/a')?.ports[0]?.services[0]?.access.length, 1);
  assert.deepEqual(cluster.remove(access), changed);
  const deleted = pod('shop/a', '10.1.0.1', 'web', { meta: { deletionTimestamp: '2026-01-01T00:00:00Z' } });
  assert.deepEqual(cluster.put(deleted), changed);
  assert.equal(cluster.workload('shop/a')?.terminating, true);
  assert.deepEqual(cluster.put(service('shop/web', { selector: { app: 'b' } })), [
    'workload shop/a',
    'workload shop/b',
  ]);
  assert.deepEqual(cluster.remove(service('shop/web')), ['workload shop/b']);
  assert.deepEqual(cluster.put(namespace('shop', { annotations: { 'tulle.dev/mtls': 'strict' } })), [
    'workload shop/a',
    'workload shop/b',
  ]);
  assert.equal(cluster.workload('shop/b')?.otherPorts.mtls, 'strict');
  assert.deepEqual(cluster.remove(deleted), changed);
});

test('what does not concern a pod tells it nothing: its status, the readiness of others, other pods', () => {
  const cluster = new TestCluster(service('shop/web'), pod('shop/a', '10.1.0.1', 'web'));
  cluster.put(slice('shop/web-1', 'web', [endpoint('10.1.0.1', 'a'), endpoint('10.1.0.2', 'b')]));
  cluster.follow('workload shop/a', 'address 10.1.0.1:8080', 'service shop/a.pod:8080');
  assert.deepEqual(
    cluster.put(pod('shop/a', '10.1.0.1', 'web', { status: { conditions: [{ type: 'Ready' }] } })),
    [],
  );
  assert.deepEqual(
    cluster.put(slice('shop/web-1', 'web', [endpoint('10.1.0.1', 'a', { conditions: { ready: false } })])),
    [],
  );
  assert.deepEqual(cluster.put(pod('shop/b', '10.1.0.2', 'web'), service('shop/b')), []);
});

test("opaque ports of a pod's own annotation hold before those of its Services and namespace, and after what is declared", () => {
  const opaque = (text: string) => ({
    meta: { labels: { app: 'web' }, annotations: { 'tulle.dev/opaque-ports': text } },
  });
  const cluster = new TestCluster(
    namespace('shop', { annotations: { 'tulle.dev/opaque-ports': '9' } }),
    service('shop/web', {
      ports: [
        { name: 'a', port: 80, targetPort: 8080 },
        { name: 'b', port: 81, targetPort: 8081 },
        { name: 'http', port: 82, targetPort: 8082 },
      ],
    }),
    pod('shop/a', '10.1.0.1', 'web', opaque('8081,8082')),
    pod('shop/b', '10.1.0.2', 'web', opaque('many')),
  );
  const protocols = (key: string) =>
    cluster.workload(key)?.ports.map(({ port, protocol }) => `${port} ${protocol}`);
  assert.deepEqual(protocols('shop/a'), ['8080 detect', '8081 tcp', '8082 http']);
  assert.deepEqual(cluster.workload('shop/a')?.otherPorts.opaquePorts, [8081, 8082]);
  assert.deepEqual(protocols('shop/b'), ['8080 detect', '8081 detect', '8082 http']);
  assert.deepEqual(cluster.workload('shop/b')?.otherPorts.opaquePorts, [9]);
  const called = cluster.service('shop/a.pod:8081');
  assert.equal(called?.service.protocol, 'tcp');
});

test('annotations of a pod of the mesh that say nothing are told; those of others are not looked at', () => {
  const annotations = {
    'tulle.dev/opaque-ports': 'many',
    'tulle.dev/retries': '2 on connect',
    'tulle.dev/changes': '[]',
  };
  const meta = { labels: { app: 'web' }, annotations };
  const meshed = pod('shop/a', '10.1.0.1', 'web', { meta });
  const cluster = new TestCluster(meshed, pod('shop/b', '10.1.0.2', 'web', { meta, spec: UNMESHED }));
  assert.deepEqual(cluster.problems(), [
    'Pod shop/a: annotations.tulle.dev/opaque-ports Invalid',
    'Pod shop/a: annotations.tulle.dev/retries Invalid',
  ]);
  cluster.remove(meshed);
  assert.deepEqual(cluster.problems(), []);
});

test('a workload runs as long as a pod of it has not ended', () => {
  const cluster = new TestCluster(pod('shop/a', '10.1.0.1', 'web'), pod('shop/b', '10.1.0.2', 'web'));
  const { workloads } = cluster.objects;
  assert.deepEqual([workloads.runs('shop/web'), workloads.runs('shop/other')], [true, false]);
  cluster.remove(pod('shop/a', '10.1.0.1', 'web'));
  assert.equal(workloads.runs('shop/web'), true);
  cluster.put(pod('shop/b', '10.1.0.2', 'web', { status: { phase: 'Succeeded' } }));
  assert.equal(workloads.runs('shop/web'), false);
});

test("a pod's zone by its label, or by a slice of its namespace; a tenant's slice elsewhere has no say", () => {
  const cluster = new TestCluster(
    service('shop/web'),
    slice('shop/web-1', 'web', [{ ...endpoint('10.1.0.1'), zone: 'z1' }]),
    slice('evil/own-1', 'own', [{ ...endpoint('10.1.0.2'), zone: 'z9' }]),
    pod('shop/a', '10.1.0.1', 'web'),
    pod('shop/b', '10.1.0.2', 'web'),
    pod('shop/c', '10.1.0.3', 'web', {
      meta: { labels: { 'topology.kubernetes.io/zone': 'z3' } },
    }),
  );
  assert.equal(cluster.workload('shop/a')?.zone, 'z1');
  assert.equal(cluster.workload('shop/b')?.zone, undefined);
  assert.equal(cluster.workload('shop/c')?.zone, 'z3');
});

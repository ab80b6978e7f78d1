import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint, namespace, pod, service, slice, TestCluster, UNMESHED } from './cluster.fixture.ts';

const addresses = (cluster: TestCluster, key: string) =>
  cluster
    .service(key)
    ?.service.endpoints.map(({ address, ready }) => `${address}${ready ? '' : ' not ready'}`);

test('each TCP port of a Service is a service, and the name alone is its first', () => {
  const cluster = new TestCluster(
    service('shop/web', {
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'http', port: 80, targetPort: 'web' },
        { name: 'admin', port: 81, targetPort: 9000, appProtocol: 'kubernetes.io/h2c' },
      ],
    }),
    slice('shop/web-1', 'web', [endpoint('10.1.0.1', 'web-a')], {
      ports: [
        { name: 'http', port: 8080, protocol: 'TCP' },
        { name: 'admin', port: 9000, protocol: 'TCP' },
        { name: 'dns', port: 53, protocol: 'UDP' },
      ],
    }),
    pod('shop/web-a', '10.1.0.1', 'web'),
  );
  const first = cluster.service('shop/web:80');
  assert.deepEqual(first?.service, {
    name: 'web',
    namespace: 'shop',
    port: 80,
    protocol: 'http',
    endpoints: [{ address: '10.1.0.1:8080', weight: 1, ready: true, identity: 'shop/web' }],
    annotations: {},
  });
  assert.deepEqual(addresses(cluster, 'shop/web:81'), ['10.1.0.1:9000']);
  assert.equal(cluster.service('shop/web:81')?.service.protocol, 'http2');
  assert.equal(cluster.service('shop/web')?.key, 'shop/web');
  assert.deepEqual(cluster.service('shop/web')?.service, first?.service);
  for (const key of ['shop/web:53', 'shop/web:82', 'shop/other:80', 'other/web', 'shop/web:80:80'])
    assert.equal(cluster.service(key), undefined, key);
});

test('an ExternalName has no resource, a headless Service has one but no address', () => {
  const cluster = new TestCluster(
    service('shop/away', {
      type: 'ExternalName',
      externalName: 'example.test',
      ports: [{ port: 80 }],
      clusterIPs: undefined,
      clusterIP: undefined,
    }),
    service('shop/db', { clusterIP: 'None', clusterIPs: ['None'] }),
    slice('shop/db-1', 'db', [endpoint('10.1.0.1', 'db-0')]),
    pod('shop/db-0', '10.1.0.1', 'db'),
  );
  assert.equal(cluster.service('shop/away:80'), undefined);
  assert.deepEqual(addresses(cluster, 'shop/db:80'), ['10.1.0.1:8080']);
  assert.equal(cluster.get('address', 'None:80'), undefined);
});

test('endpoints that someone wrote for a Service without selector: with the identity of the pod that has the address', () => {
  const written = slice(
    'shop/out-1',
    'out',
    [endpoint('192.0.2.1'), endpoint('10.1.0.9'), endpoint('10.1.0.8')],
    {
      metadata: { name: 'out-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'out' } },
    },
  );
  const cluster = new TestCluster(
    service('shop/out', { selector: undefined }),
    written,
    pod('shop/x', '10.1.0.9', 'x'),
    pod('shop/y', '10.1.0.8', 'y', { spec: UNMESHED }),
  );
  assert.deepEqual(cluster.service('shop/out:80')?.service.endpoints, [
    { address: '10.1.0.8:8080', weight: 1, ready: true },
    { address: '10.1.0.9:8080', weight: 1, ready: true, identity: 'shop/x' },
    { address: '192.0.2.1:8080', weight: 1, ready: true },
  ]);
});

test('ready, serving and terminating as kube-proxy reads them', () => {
  const web = service('shop/web');
  const pods = ['a', 'b', 'c'].map((name, index) => pod(`shop/${name}`, `10.1.0.${index + 1}`, 'web'));
  const cluster = new TestCluster(web, ...pods);
  const conditions = (ready?: boolean, serving?: boolean, terminating?: boolean) => ({
    conditions: { ready, serving, terminating },
  });
  cluster.put(
    slice('shop/web-1', 'web', [
      endpoint('10.1.0.1', 'a', { conditions: {} }),
      endpoint('10.1.0.2', 'b', conditions(false, false, false)),
      endpoint('10.1.0.3', 'c', conditions(false, true, true)),
    ]),
  );
  assert.deepEqual(addresses(cluster, 'shop/web:80'), [
    '10.1.0.1:8080',
    '10.1.0.2:8080 not ready',
    '10.1.0.3:8080 not ready',
  ]);
  cluster.put(
    slice('shop/web-1', 'web', [
      endpoint('10.1.0.2', 'b', conditions(false, false, true)),
      endpoint('10.1.0.3', 'c', conditions(false, true, true)),
    ]),
  );
  assert.deepEqual(addresses(cluster, 'shop/web:80'), ['10.1.0.2:8080 not ready', '10.1.0.3:8080']);
});

test('a terminating endpoint is used where not ready addresses are published', () => {
  const told = slice('shop/web-1', 'web', [
    endpoint('10.1.0.1', 'a', { conditions: { ready: true, serving: true, terminating: false } }),
    endpoint('10.1.0.2', 'b', { conditions: { ready: true, serving: false, terminating: true } }),
  ]);
  const pods = [pod('shop/a', '10.1.0.1', 'web'), pod('shop/b', '10.1.0.2', 'web')];
  const cluster = new TestCluster(service('shop/web'), told, ...pods);
  assert.deepEqual(addresses(cluster, 'shop/web:80'), ['10.1.0.1:8080', '10.1.0.2:8080 not ready']);
  cluster.put(service('shop/web', { publishNotReadyAddresses: true }));
  assert.deepEqual(addresses(cluster, 'shop/web:80'), ['10.1.0.1:8080', '10.1.0.2:8080']);
});

test("dual stack: one endpoint for each pod, of the Service's first family where the pod has it", () => {
  const v6 = { addressType: 'IPv6' };
  const cluster = new TestCluster(
    service('shop/web', {
      clusterIPs: ['fd00::a', '10.96.0.10'],
      clusterIP: 'fd00::a',
      ipFamilies: ['IPv6', 'IPv4'],
    }),
    slice('shop/web-4', 'web', [endpoint('10.1.0.1', 'a'), endpoint('10.1.0.2', 'b')]),
    slice('shop/web-6', 'web', [endpoint('fd00::1', 'a')], v6),
    pod('shop/a', '10.1.0.1', 'web', { status: { podIPs: [{ ip: '10.1.0.1' }, { ip: 'fd00::1' }] } }),
    pod('shop/b', '10.1.0.2', 'web'),
  );
  assert.deepEqual(addresses(cluster, 'shop/web:80'), ['10.1.0.2:8080', '[fd00::1]:8080']);
  for (const key of ['[fd00::a]:80', '10.96.0.10:80'])
    assert.deepEqual((cluster.get('address', key) as { service?: string }).service, 'shop/web:80', key);
});

test('written endpoints of both families are those of the first', () => {
  const written = (name: string, ip: string, addressType: string) =>
    slice(`shop/${name}`, 'out', [endpoint(ip)], { addressType });
  const cluster = new TestCluster(
    service('shop/out', { ipFamilies: ['IPv4', 'IPv6'] }),
    written('out-4', '192.0.2.1', 'IPv4'),
    written('out-6', '2001:db8::1', 'IPv6'),
    written('out-name', 'example.test', 'FQDN'),
  );
  assert.deepEqual(addresses(cluster, 'shop/out:80'), ['192.0.2.1:8080']);
});

test('an endpoint of the controller is not ready before its pod is known: it might want mTLS', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    slice('shop/web-1', 'web', [endpoint('10.1.0.1', 'a')]),
  );
  cluster.follow('service shop/web:80');
  assert.deepEqual(addresses(cluster, 'shop/web:80'), ['10.1.0.1:8080 not ready']);
  assert.deepEqual(cluster.put(pod('shop/a', '10.1.0.1', 'web')), ['service shop/web:80']);
  assert.deepEqual(addresses(cluster, 'shop/web:80'), ['10.1.0.1:8080']);
  const moved = pod('shop/a', '10.1.0.7', 'web', { meta: { uid: 'second' } });
  assert.deepEqual(cluster.put(moved), ['service shop/web:80']);
  assert.deepEqual(addresses(cluster, 'shop/web:80'), ['10.1.0.1:8080 not ready']);
});

test("a pod on its node's network is known by its name and never meshed", () => {
  const cluster = new TestCluster(
    service('shop/web'),
    slice('shop/web-1', 'web', [endpoint('192.168.0.1', 'a')]),
    pod('shop/a', '192.168.0.1', 'web', { spec: { hostNetwork: true, ...UNMESHED } }),
  );
  assert.deepEqual(cluster.service('shop/web:80')?.service.endpoints, [
    { address: '192.168.0.1:8080', weight: 1, ready: true },
  ]);
  assert.equal(cluster.get('address', '192.168.0.1:8080'), undefined);
});

test('an address that a finished pod had belongs to the pod that has it now', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    slice('shop/web-1', 'web', [endpoint('10.1.0.1', 'new')]),
    pod('shop/old', '10.1.0.1', 'job', { status: { phase: 'Succeeded' } }),
    pod('shop/new', '10.1.0.1', 'web'),
  );
  assert.equal(cluster.service('shop/web:80')?.service.endpoints[0]?.identity, 'shop/web');
  cluster.remove(pod('shop/old', '10.1.0.1', 'job'));
  assert.equal(cluster.service('shop/web:80')?.service.endpoints[0]?.identity, 'shop/web');
});

test('zones and topology hints are told', () => {
  const cluster = new TestCluster(
    service('shop/out', { selector: undefined }),
    slice('shop/out-1', 'out', [
      endpoint('192.0.2.1', undefined, { zone: 'a', hints: { forZones: [{ name: 'a' }, { name: 'b' }] } }),
    ]),
  );
  assert.deepEqual(cluster.service('shop/out:80')?.service.endpoints, [
    { address: '192.0.2.1:8080', weight: 1, ready: true, zone: 'a', forZones: ['a', 'b'] },
  ]);
});

test('a port that the capture step skips is called in plain text', () => {
  const cluster = new TestCluster(
    service('shop/web', { ports: [{ name: 'http', port: 80, targetPort: 9999 }] }),
    slice('shop/web-1', 'web', [endpoint('10.1.0.1', 'a')], { ports: [{ name: 'http', port: 9999 }] }),
    pod('shop/a', '10.1.0.1', 'web'),
  );
  assert.deepEqual(cluster.service('shop/web:80')?.service.endpoints, [
    { address: '10.1.0.1:9999', weight: 1, ready: true },
  ]);
});

test('an endpoint that is in two slices for a moment is told once', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    slice('shop/web-1', 'web', [endpoint('10.1.0.1', 'a')]),
    slice('shop/web-2', 'web', [endpoint('10.1.0.1', 'a')]),
    pod('shop/a', '10.1.0.1', 'web'),
  );
  assert.deepEqual(addresses(cluster, 'shop/web:80'), ['10.1.0.1:8080']);
});

test('opaque-ports may name the port of the Service or of the pods; what the port declares goes before it', () => {
  const cluster = new TestCluster(
    namespace('shop', { annotations: { 'tulle.dev/opaque-ports': '80,9000' } }),
    service('shop/web', {
      ports: [
        { name: 'a', port: 80 },
        { name: 'b', port: 81, targetPort: 9000 },
        { name: 'http-c', port: 82, targetPort: 9000 },
        { name: 'd', port: 83, targetPort: 83 },
      ],
    }),
  );
  const protocols = [80, 81, 82, 83].map((port) => cluster.service(`shop/web:${port}`)?.service.protocol);
  assert.deepEqual(protocols, ['tcp', 'tcp', 'http', 'detect']);
});

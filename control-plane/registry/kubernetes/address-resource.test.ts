import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint, pod, service, slice, TestCluster, UNMESHED } from './cluster.fixture.ts';

const meant = (cluster: TestCluster, key: string) => {
  const resource = cluster.get('address', key);
  return resource?.kind === 'address' ? resource.service : resource;
};

test('a cluster IP means its Service on its TCP ports, and nothing else', () => {
  const cluster = new TestCluster(
    service('shop/web', { ports: [{ port: 80 }, { name: 'u', port: 53, protocol: 'UDP' }] }),
  );
  assert.equal(meant(cluster, '10.96.0.10:80'), 'shop/web:80');
  for (const key of ['10.96.0.10:81', '10.96.0.10:53', '10.96.0.11:80', '10.96.0.10'])
    assert.equal(meant(cluster, key), undefined, key);
});

test('a cluster IP that goes to another Service is followed', () => {
  const cluster = new TestCluster(service('shop/web'));
  cluster.follow('address 10.96.0.10:80');
  assert.deepEqual(cluster.remove(service('shop/web')), ['address 10.96.0.10:80']);
  assert.deepEqual(cluster.put(service('shop/other')), ['address 10.96.0.10:80']);
  assert.equal(meant(cluster, '10.96.0.10:80'), 'shop/other:80');
});

test('every port of a meshed pod means the pod, but those that its proxy does not stand before', () => {
  const cluster = new TestCluster(pod('shop/a.b', '10.1.0.1', 'web'));
  assert.equal(meant(cluster, '10.1.0.1:12345'), 'shop/a.b.pod:12345');
  assert.deepEqual(cluster.service('shop/a.b.pod:12345')?.service, {
    name: 'a.b.pod',
    namespace: 'shop',
    port: 12345,
    protocol: 'detect',
    endpoints: [{ address: '10.1.0.1:12345', weight: 1, ready: true, identity: 'shop/web' }],
    annotations: {},
  });
  for (const port of [4143, 4191, 9999]) {
    assert.equal(meant(cluster, `10.1.0.1:${port}`), undefined, `${port}`);
    assert.equal(cluster.service(`shop/a.b.pod:${port}`), undefined, `${port}`);
  }
});

test('a pod without sidecar is meant on the ports that a Service names, in plain text', () => {
  const cluster = new TestCluster(
    service(
      'shop/db',
      { clusterIPs: ['None'], clusterIP: 'None' },
      { annotations: { 'tulle.dev/timeout': '2s' } },
    ),
    pod('shop/db-0', '10.1.0.1', 'db', { spec: UNMESHED }),
  );
  assert.equal(meant(cluster, '10.1.0.1:8080'), 'shop/db-0.pod:8080');
  assert.equal(meant(cluster, '10.1.0.1:8081'), undefined);
  const resource = cluster.service('shop/db-0.pod:8080');
  assert.equal(resource?.settings.timeoutMs, 2000);
  assert.equal(resource?.service.protocol, 'http');
  assert.deepEqual(resource?.service.endpoints, [{ address: '10.1.0.1:8080', weight: 1, ready: true }]);
  assert.equal(cluster.service('shop/db-0.pod:8081'), undefined);
  assert.equal(cluster.service('shop/db-0.pod'), undefined);
});

test('a pod that comes to an address, gets a sidecar or goes is followed, also where a slice names its port', () => {
  const cluster = new TestCluster();
  cluster.follow('address 10.1.0.1:7000', 'service shop/a.pod:7000');
  const both = ['address 10.1.0.1:7000', 'service shop/a.pod:7000'];
  const plain = pod('shop/a', '10.1.0.1', 'web', { spec: UNMESHED });
  assert.deepEqual(cluster.put(plain), []);
  const written = slice('shop/out-1', 'out', [endpoint('10.1.0.1')], {
    ports: [{ name: 'http', port: 7000 }],
  });
  assert.deepEqual(cluster.put(service('shop/out', { selector: undefined }), written), both);
  assert.deepEqual(cluster.remove(written), both);
  assert.deepEqual(cluster.put(pod('shop/a', '10.1.0.1', 'web')), both);
  assert.deepEqual(cluster.put(pod('shop/a', '10.1.0.2', 'web')), both);
  assert.equal(cluster.service('shop/a.pod:7000')?.service.endpoints[0]?.address, '10.1.0.2:7000');
});

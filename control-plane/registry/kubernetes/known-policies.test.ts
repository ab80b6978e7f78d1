import assert from 'node:assert/strict';
import { test } from 'node:test';
import { document, namespace, service, TestCluster } from './cluster.fixture.ts';

const annotated = (fields: Record<string, string>, meta: object = {}) => ({
  annotations: Object.fromEntries(Object.entries(fields).map(([name, text]) => [`tulle.dev/${name}`, text])),
  ...meta,
});
const policy = (key: string, spec: object, meta: object = {}) =>
  document('TrafficPolicy', key, { targetRef: { kind: 'Service', name: 'web' }, ...spec }, meta);
const settings = (cluster: TestCluster) => cluster.service('shop/web:80')?.settings;

test('a namespace goes before the defaults, a TrafficPolicy before it, and the Service before all', () => {
  const cluster = new TestCluster(service('shop/web'));
  cluster.follow('service shop/web:80');
  const changed = ['service shop/web:80'];
  assert.equal(settings(cluster)?.mtls, 'permissive');
  assert.deepEqual(
    cluster.put(namespace('shop', annotated({ mtls: 'strict', timeout: '1s', 'try-timeout': '1s' }))),
    changed,
  );
  assert.deepEqual(cluster.put(policy('shop/p', { timeout: '2s', 'try-timeout': '2s' })), changed);
  assert.deepEqual(cluster.put(service('shop/web', {}, annotated({ 'try-timeout': '3s' }))), changed);
  const { mtls, timeoutMs, tryTimeoutMs } = settings(cluster) ?? {};
  assert.deepEqual([mtls, timeoutMs, tryTimeoutMs], ['strict', 2000, 3000]);
  assert.deepEqual(cluster.remove(namespace('shop')), changed);
  assert.deepEqual(cluster.remove(policy('shop/p', {})), changed);
  assert.equal(settings(cluster)?.timeoutMs, undefined);
});

test('of two policies about a Service the older wins, field by field', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    policy('shop/new', { timeout: '1s', 'try-timeout': '1s' }, { creationTimestamp: '2026-02-01T00:00:00Z' }),
    policy('shop/old', { timeout: '2s' }, { creationTimestamp: '2026-01-01T00:00:00Z' }),
  );
  assert.deepEqual([settings(cluster)?.timeoutMs, settings(cluster)?.tryTimeoutMs], [2000, 1000]);
});

test('a wrong value leaves the last good one in force, the rest holds, and both are told', () => {
  const cluster = new TestCluster(service('shop/web', {}, annotated({ timeout: '2s', mtls: 'strict' })));
  cluster.put(
    service('shop/web', {}, annotated({ timeout: 'soon', mtls: 'permissive', 'try-timeout': 'soon' })),
  );
  const { mtls, timeoutMs, tryTimeoutMs } = settings(cluster) ?? {};
  assert.deepEqual([mtls, timeoutMs, tryTimeoutMs], ['permissive', 2000, undefined]);
  const told = cluster.objects.problems().map(({ problem }) => `${problem.field} ${problem.meant}`);
  assert.match(
    told[0] ?? '',
    /^annotations\.tulle\.dev\/timeout .*; until then the last good value, "2s", holds$/,
  );
  assert.match(told[1] ?? '', /^annotations\.tulle\.dev\/try-timeout (?!.*last good)/);
  cluster.put(service('shop/web', {}, annotated({ mtls: 'wrong' })));
  assert.equal(settings(cluster)?.timeoutMs, undefined, 'a value that is taken away is gone');
  assert.equal(settings(cluster)?.mtls, 'permissive');
  cluster.put(service('shop/web'));
  assert.deepEqual([settings(cluster)?.mtls, cluster.problems()], ['permissive', []]);
});

test('the last good value of a namespace and of a policy stays too', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    namespace('shop', annotated({ mtls: 'strict' })),
    policy('shop/p', { timeout: '2s' }),
  );
  cluster.put(
    namespace('shop', annotated({ mtls: 'on' })),
    policy('shop/p', { timeout: 'soon', retrys: '2' }),
  );
  assert.deepEqual([settings(cluster)?.mtls, settings(cluster)?.timeoutMs], ['strict', 2000]);
  assert.deepEqual(cluster.problems(), [
    'Namespace shop: annotations.tulle.dev/mtls Invalid',
    'TrafficPolicy shop/p: spec.retrys Invalid',
    'TrafficPolicy shop/p: spec.timeout Invalid',
  ]);
});

test('another object of the same name, and another control plane, start with the default', () => {
  const wrong = annotated({ mtls: 'on' });
  const cluster = new TestCluster(service('shop/web', {}, annotated({ mtls: 'strict' })));
  cluster.put(service('shop/web', {}, { ...wrong, uid: 'second' }));
  assert.equal(settings(cluster)?.mtls, 'permissive');
  assert.equal(settings(new TestCluster(service('shop/web', {}, wrong)))?.mtls, 'permissive');
});

test('a policy may not reach into another namespace, nor be about what is not enforced', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    policy('evil/p', { targetRef: { kind: 'Service', name: 'web', namespace: 'shop' }, timeout: '1s' }),
    document('AccessPolicy', 'shop/g', { targetRef: { kind: 'Gateway', name: 'gw' }, clients: ['*'] }),
    document('AccessPolicy', 'evil/a', {
      targetRef: { kind: 'Service', name: 'web', namespace: 'shop' },
      clients: ['*'],
    }),
  );
  assert.equal(settings(cluster)?.timeoutMs, undefined);
  assert.deepEqual(cluster.service('shop/web:80')?.access, []);
  assert.deepEqual(
    cluster.problems().filter((one) => one.includes('targetRef')),
    [
      'AccessPolicy evil/a: spec.targetRef RefNotPermitted',
      'AccessPolicy shop/g: spec.targetRef UnsupportedValue',
      'TrafficPolicy evil/p: spec.targetRef RefNotPermitted',
    ],
  );
});

test('a policy about no Service says so, until there is one', () => {
  const cluster = new TestCluster(policy('shop/p', { timeout: '1s' }));
  assert.deepEqual(cluster.problems(), ['TrafficPolicy shop/p: spec.targetRef TargetNotFound']);
  cluster.put(service('shop/web'));
  assert.deepEqual(cluster.problems(), []);
  cluster.remove(service('shop/web'));
  assert.deepEqual(cluster.problems(), ['TrafficPolicy shop/p: spec.targetRef TargetNotFound']);
  cluster.remove(policy('shop/p', {}));
  assert.deepEqual(cluster.problems(), []);
});

test('an AccessPolicy that becomes wrong goes on protecting as it did', () => {
  const access = (spec: object) =>
    document('AccessPolicy', 'shop/a', { targetRef: { kind: 'Service', name: 'web' }, ...spec });
  const cluster = new TestCluster(service('shop/web'), access({ clients: ['front'] }));
  cluster.put(access({ clients: 'everybody' }));
  assert.deepEqual(cluster.service('shop/web:80')?.access[0]?.spec.clients, ['front']);
  assert.ok(cluster.problems().includes('AccessPolicy shop/a: spec.clients Invalid'));
  cluster.remove(access({}));
  assert.deepEqual([cluster.service('shop/web:80')?.access, cluster.problems()], [[], []]);
});

test('an unknown annotation and an Aggregate are told', () => {
  const cluster = new TestCluster(
    service('shop/web', {}, annotated({ retrys: '2' })),
    document('Aggregate', 'shop/all', { path: '/all', parts: [] }),
  );
  assert.deepEqual(cluster.problems(), [
    'Aggregate shop/all: spec UnsupportedValue',
    'Service shop/web: annotations.tulle.dev/retrys Invalid',
  ]);
});

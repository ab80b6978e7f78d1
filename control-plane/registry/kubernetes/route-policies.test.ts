import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayResource } from '../../../protocol/resources.ts';
import { document, httpRoute, type RawObject, service, TestCluster, toService } from './cluster.fixture.ts';
import { gateway, listener, OUR_CLASS } from './gateway.fixture.ts';

const RULES = [
  { name: 'one', backendRefs: [{ name: 'web', port: 80 }] },
  { backendRefs: [{ name: 'web', port: 80 }] },
];

const toWeb = httpRoute('shop/r', { parentRefs: [toService('web')], rules: RULES });
const targetRef = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'r' };

function policy(key: string, spec: object, created = '2026-01-01T00:00:00Z'): RawObject {
  return document('TrafficPolicy', key, { targetRef, ...spec }, { creationTimestamp: created });
}

const rules = (cluster: TestCluster) =>
  cluster.service('shop/web:80')?.routes[0]?.rules.map((rule) => rule.policy?.set);
const atEdge = (cluster: TestCluster) =>
  (cluster.get('gateway', 'shop/edge') as GatewayResource | undefined)?.routes[0]?.rules.map(
    (rule) => rule.policy?.set,
  );

test('a policy about a route reaches those who call its Service, and goes with it', () => {
  const cluster = new TestCluster(service('shop/web'), toWeb);
  cluster.follow('service shop/web:80');
  assert.deepEqual(rules(cluster), [undefined, undefined]);
  assert.deepEqual(cluster.put(policy('shop/p', { timeout: '2s' })), ['service shop/web:80']);
  assert.deepEqual(rules(cluster), [{ timeoutMs: 2000 }, { timeoutMs: 2000 }]);
  const one = policy('shop/p', { targetRef: { ...targetRef, sectionName: 'one' }, timeout: '3s' });
  assert.deepEqual(cluster.put(one), ['service shop/web:80']);
  assert.deepEqual(rules(cluster), [{ timeoutMs: 3000 }, undefined]);
  assert.deepEqual(cluster.remove(one), ['service shop/web:80']);
  assert.deepEqual([rules(cluster), cluster.problems()], [[undefined, undefined], []]);
});

test('of two policies about a route the older wins, and one about the rule before both', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    toWeb,
    policy('shop/new', { timeout: '1s', 'try-timeout': '1s' }, '2026-02-01T00:00:00Z'),
    policy('shop/old', { timeout: '2s' }),
    policy(
      'shop/rule',
      { targetRef: { ...targetRef, sectionName: 'one' }, timeout: '4s' },
      '2026-03-01T00:00:00Z',
    ),
  );
  assert.deepEqual(rules(cluster), [
    { timeoutMs: 4000, tryTimeoutMs: 1000 },
    { timeoutMs: 2000, tryTimeoutMs: 1000 },
  ]);
});

test('a policy about a Gateway holds for its routes there, below those about the route', () => {
  const edge = { kind: 'Gateway', name: 'edge' };
  const cluster = new TestCluster(
    OUR_CLASS,
    gateway('shop/edge', [listener('h')]),
    service('shop/web'),
    httpRoute('shop/r', { parentRefs: [{ name: 'edge' }, toService('web')], rules: RULES }),
    policy('shop/route', { targetRef: { ...targetRef, sectionName: 'one' }, timeout: '1s' }),
  );
  cluster.follow('gateway shop/edge');
  const told = cluster.put(policy('shop/edge', { targetRef: edge, timeout: '5s', fault: 'abort 503 1%' }));
  assert.deepEqual(told, ['gateway shop/edge']);
  const faults = [{ abort: { status: 503 }, share: 0.01 }];
  assert.deepEqual(atEdge(cluster), [
    { timeoutMs: 1000, faults },
    { timeoutMs: 5000, faults },
  ]);
  assert.deepEqual(rules(cluster), [{ timeoutMs: 1000 }, undefined], 'not for calls inside the mesh');
  assert.deepEqual(cluster.problems(), []);
});

test('a field that a route cannot have, or a wrong value, is told; the rest and the last good value hold', () => {
  const cluster = new TestCluster(service('shop/web'), toWeb, policy('shop/p', { fault: 'abort 503 1%' }));
  cluster.put(policy('shop/p', { fault: 'abort 503', allow: 'web', timeout: '2s' }));
  assert.deepEqual(rules(cluster)?.[0], {
    faults: [{ abort: { status: 503 }, share: 0.01 }],
    timeoutMs: 2000,
  });
  assert.deepEqual(cluster.problems(), [
    'TrafficPolicy shop/p: spec.allow Invalid',
    'TrafficPolicy shop/p: spec.fault Invalid',
  ]);
  const [allow] = cluster.objects.problems().filter(({ problem }) => problem.field === 'spec.allow');
  assert.match(allow?.problem.message ?? '', /^protects a service/);
});

test('a route or a rule that is not there is told until it is', () => {
  const one = policy('shop/p', { targetRef: { ...targetRef, sectionName: 'one' }, timeout: '1s' });
  const cluster = new TestCluster(service('shop/web'), one);
  assert.deepEqual(cluster.problems(), ['TrafficPolicy shop/p: spec.targetRef TargetNotFound']);
  const [other] = RULES.slice(1);
  cluster.put(httpRoute('shop/r', { parentRefs: [toService('web')], rules: [{ ...other, name: 'other' }] }));
  assert.deepEqual(cluster.problems(), ['TrafficPolicy shop/p: spec.targetRef.sectionName TargetNotFound']);
  assert.deepEqual(rules(cluster), [undefined]);
  cluster.put(toWeb);
  assert.deepEqual([cluster.problems(), rules(cluster)], [[], [{ timeoutMs: 1000 }, undefined]]);
  cluster.remove(toWeb);
  assert.deepEqual(cluster.problems(), ['TrafficPolicy shop/p: spec.targetRef TargetNotFound']);
});

test("a policy reaches neither into another namespace's route nor into a Gateway of another mesh", () => {
  const cluster = new TestCluster(
    service('shop/web'),
    toWeb,
    policy('evil/p', { targetRef: { ...targetRef, namespace: 'shop' }, fault: 'abort 503 100%' }),
    policy('shop/g', { targetRef: { kind: 'Gateway', name: 'foreign' }, timeout: '1s' }),
    gateway('shop/foreign', [listener('h')], { gatewayClassName: 'other' }),
  );
  assert.deepEqual(rules(cluster), [undefined, undefined]);
  assert.deepEqual(cluster.problems(), [
    'TrafficPolicy evil/p: spec.targetRef RefNotPermitted',
    'TrafficPolicy shop/g: spec.targetRef TargetNotFound',
  ]);
});

test('a sectionName of a Service makes the policy mean nothing, not more than was meant', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    policy('shop/p', {
      targetRef: { kind: 'Service', name: 'web', sectionName: 'http' },
      fault: 'abort 503 100%',
    }),
  );
  assert.equal(cluster.service('shop/web:80')?.settings.faults, undefined);
  assert.deepEqual(cluster.problems(), ['TrafficPolicy shop/p: spec.targetRef.sectionName UnsupportedValue']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayResource } from '../../../protocol/resources.ts';
import { document, namespace, service, TestCluster } from './cluster.fixture.ts';
import { gateway, listener, OUR_CLASS, routeTo } from './gateway.fixture.ts';

function cluster(...listeners: object[]): TestCluster {
  return new TestCluster(
    OUR_CLASS,
    gateway('edge/gw', listeners),
    namespace('edge'),
    namespace('shop', { labels: { edge: 'yes' } }),
    service('edge/web'),
    service('shop/web'),
  );
}

/** Routes by listener, as the gateway is told. */
function told(mesh: TestCluster): Record<string, readonly string[] | undefined> {
  const resource = mesh.get('gateway', 'edge/gw') as GatewayResource | undefined; // what the key holds
  return Object.fromEntries((resource?.listeners ?? []).map(({ name, routes }) => [name, routes]));
}

const reasons = (mesh: TestCluster) => mesh.objects.problems().map(({ reason }) => reason);

test('sectionName and port choose listeners; without them all that take the route', () => {
  const mesh = cluster(listener('a'), listener('b', { port: 8080 }));
  mesh.put(
    routeTo('edge/all'),
    routeTo('edge/first', { sectionName: 'a' }),
    routeTo('edge/second', { port: 8080 }),
  );
  assert.deepEqual(told(mesh), {
    a: ['HTTPRoute edge/all', 'HTTPRoute edge/first'],
    b: ['HTTPRoute edge/all', 'HTTPRoute edge/second'],
  });
  assert.deepEqual(reasons(mesh), []);
  mesh.put(routeTo('edge/first', { sectionName: 'a', port: 8080 }), routeTo('edge/second', { port: 81 }));
  assert.deepEqual(told(mesh), { a: ['HTTPRoute edge/all'], b: ['HTTPRoute edge/all'] });
  assert.deepEqual(reasons(mesh), ['NoMatchingParent', 'NoMatchingParent']);
});

test('a route with several parentRefs for one Gateway is attached to each of them', () => {
  const mesh = cluster(listener('a'), listener('b', { port: 81 }), listener('c', { port: 82 }));
  const parent = { name: 'gw', namespace: 'edge' };
  mesh.put(
    routeTo(
      'edge/r',
      {},
      {
        parentRefs: [
          { ...parent, sectionName: 'a' },
          { ...parent, sectionName: 'c' },
        ],
      },
    ),
  );
  assert.deepEqual(told(mesh), { a: ['HTTPRoute edge/r'], b: [], c: ['HTTPRoute edge/r'] });
});

test('routes of other namespaces are let in by All or by their labels, by default not at all', () => {
  const from = (rule: object | undefined) => listener('a', rule && { allowedRoutes: { namespaces: rule } });
  const cases: [object | undefined, boolean][] = [
    [undefined, false],
    [{ from: 'Same' }, false],
    [{ from: 'None' }, false],
    [{ from: 'All' }, true],
    [{ from: 'Selector', selector: { matchLabels: { edge: 'yes' } } }, true],
    [{ from: 'Selector', selector: { matchLabels: { edge: 'no' } } }, false],
    [{ from: 'Selector', selector: { matchExpressions: [{ key: 'edge', operator: 'Exists' }] } }, true],
    [
      { from: 'Selector', selector: { matchExpressions: [{ key: 'edge', operator: 'In', values: ['no'] }] } },
      false,
    ],
  ];
  for (const [rule, letIn] of cases) {
    const mesh = cluster(from(rule));
    mesh.put(routeTo('shop/r'));
    assert.deepEqual(told(mesh), { a: letIn ? ['HTTPRoute shop/r'] : [] }, JSON.stringify(rule));
    assert.deepEqual(reasons(mesh), letIn ? [] : ['NotAllowedByListeners'], JSON.stringify(rule));
  }
});

test('an attacker in another namespace is not let in by a Selector that was left out, is empty or not understood', () => {
  const rules = [
    { from: 'Selector' },
    { from: 'Selector', selector: {} },
    { from: 'Selector', selector: { matchLabels: {}, matchExpressions: [] } },
    {
      from: 'Selector',
      selector: { matchExpressions: [{ key: 'edge', operator: 'Like', values: ['yes'] }] },
    },
    { from: 'Everybody' },
  ];
  for (const namespaces of rules) {
    const mesh = cluster(listener('a', { allowedRoutes: { namespaces } }));
    mesh.put(routeTo('shop/r'));
    assert.deepEqual(told(mesh), { a: [] }, JSON.stringify(namespaces));
    assert.deepEqual(reasons(mesh), ['NotAllowedByListeners']);
  }
});

test('a listener takes the kinds that it names, or those of its protocol', () => {
  const mesh = cluster(
    listener('http', { allowedRoutes: { kinds: [{ kind: 'GRPCRoute' }] } }),
    listener('tls', { port: 8443, protocol: 'TLS', tls: { mode: 'Passthrough' } }),
    listener('any', { port: 81 }),
  );
  mesh.put(routeTo('edge/h', { sectionName: 'http' }), routeTo('edge/t', { sectionName: 'tls' }));
  assert.deepEqual(told(mesh), { http: [], tls: [], any: [] });
  assert.deepEqual(reasons(mesh), ['NotAllowedByListeners', 'NotAllowedByListeners']);
  const grpc = { ...(routeTo('edge/g') as object), kind: 'GRPCRoute' };
  mesh.put(grpc as ReturnType<typeof routeTo>);
  const tls = document('TLSRoute', 'edge/s', {
    parentRefs: [{ name: 'gw' }],
    hostnames: ['a.example'],
    rules: [{ backendRefs: [{ name: 'web', port: 80 }] }],
  });
  mesh.put(tls);
  assert.deepEqual(told(mesh), {
    http: ['GRPCRoute edge/g'],
    tls: ['TLSRoute edge/s'],
    any: ['GRPCRoute edge/g'],
  });
});

test('a route shares a host with the listener, or is not attached', () => {
  const mesh = cluster(
    listener('exact', { hostname: 'a.example' }),
    listener('below', { port: 81, hostname: '*.Example' }),
    listener('all', { port: 82 }),
  );
  mesh.put(
    routeTo('edge/a', {}, { hostnames: ['a.example', 'b.test'] }),
    routeTo('edge/b', {}, { hostnames: ['*.example'] }),
    routeTo('edge/c', { sectionName: 'exact' }, { hostnames: ['b.test'] }),
    routeTo('edge/d'),
  );
  assert.deepEqual(told(mesh), {
    exact: ['HTTPRoute edge/a', 'HTTPRoute edge/b', 'HTTPRoute edge/d'],
    below: ['HTTPRoute edge/a', 'HTTPRoute edge/b', 'HTTPRoute edge/d'],
    all: ['HTTPRoute edge/a', 'HTTPRoute edge/b', 'HTTPRoute edge/d'],
  });
  assert.deepEqual(reasons(mesh), ['NoMatchingListenerHostname']);
});

test('a listener that changes takes and loses routes, and its gateway is told', () => {
  const mesh = cluster(listener('a', { hostname: 'a.example' }));
  mesh.follow('gateway edge/gw');
  mesh.put(routeTo('edge/r', {}, { hostnames: ['b.example'] }));
  assert.deepEqual(told(mesh), { a: [] });
  assert.deepEqual(mesh.put(gateway('edge/gw', [listener('a', { hostname: 'b.example' })])), [
    'gateway edge/gw',
  ]);
  assert.deepEqual(told(mesh), { a: ['HTTPRoute edge/r'] });
  assert.deepEqual(reasons(mesh), []);
});

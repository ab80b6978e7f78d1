import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  document,
  httpRoute,
  namespace,
  type RawObject,
  service,
  TestCluster,
  toService,
} from './cluster.fixture.ts';

const to = (name: string, more: object = {}) => ({ name, port: 80, ...more });

/** A route of `key` for the Service web of namespace shop. */
function route(key: string, backends: readonly object[], more: object = {}, meta: object = {}): RawObject {
  const parentRefs = [toService('web', { namespace: 'shop' })];
  return httpRoute(key, { parentRefs, rules: [{ backendRefs: backends }], ...more }, meta);
}

const names = (cluster: TestCluster, key: string, peer?: string) =>
  cluster.service(key, peer)?.routes.map(({ name }) => name);

test('a route in the namespace of the Service is for all callers, one elsewhere for callers from there, in its place', () => {
  const cluster = new TestCluster(service('shop/web'), service('shop/v2'), service('front/v3'));
  cluster.follow('service shop/web:80');
  const changed = ['service shop/web:80'];
  assert.deepEqual(cluster.put(route('shop/producer', [to('v2')])), changed);
  assert.deepEqual(cluster.put(route('front/consumer', [to('v3')])), changed);
  assert.deepEqual(names(cluster, 'shop/web:80'), ['shop/producer']);
  assert.deepEqual(names(cluster, 'shop/web:80', 'shop'), ['shop/producer']);
  assert.deepEqual(names(cluster, 'shop/web', 'front'), ['front/consumer']);
  const [told, theirs] = ['', 'front'].map((peer) => cluster.service('shop/web:80', peer));
  assert.notEqual(told?.version, theirs?.version);
  assert.equal(theirs?.routes[0]?.rules[0]?.backends[0]?.service, 'front/v3:80');
  assert.deepEqual(theirs?.service, told?.service);
  assert.deepEqual(cluster.remove(route('front/consumer', [])), changed);
  assert.deepEqual(names(cluster, 'shop/web:80', 'front'), ['shop/producer']);
  assert.deepEqual(cluster.problems(), []);
});

test('a parentRef with a port means that port, one without means all TCP ports', () => {
  const cluster = new TestCluster(
    service('shop/web', {
      ports: [
        { name: 'a', port: 80 },
        { name: 'b', port: 81 },
      ],
    }),
    httpRoute('shop/one', {
      parentRefs: [toService('web', { port: 81 })],
      rules: [{ backendRefs: [to('web')] }],
    }),
    httpRoute('shop/all', { parentRefs: [toService('web')], rules: [{ backendRefs: [to('web')] }] }),
  );
  assert.deepEqual(names(cluster, 'shop/web:80'), ['shop/all']);
  assert.deepEqual(names(cluster, 'shop/web:81'), ['shop/all', 'shop/one']);
  assert.deepEqual(names(cluster, 'shop/web'), ['shop/all']);
  assert.deepEqual(cluster.service('shop/web:81')?.routes[1]?.parents, [
    { kind: 'Service', key: 'shop/web:81', port: 81 },
  ]);
});

test('the older route goes before the newer one, then the name decides', () => {
  const at = (hour: number) => ({ creationTimestamp: `2026-01-01T0${hour}:00:00Z` });
  const cluster = new TestCluster(
    service('shop/web'),
    route('shop/b', [to('web')], {}, at(2)),
    route('shop/c', [to('web')], {}, at(1)),
    route('shop/a', [to('web')], {}, at(2)),
  );
  assert.deepEqual(names(cluster, 'shop/web:80'), ['shop/c', 'shop/a', 'shop/b']);
});

test('of a port with GRPCRoutes and HTTPRoutes the more specific kind counts', () => {
  const grpc = document('GRPCRoute', 'shop/grpc', {
    parentRefs: [toService('web')],
    rules: [{ backendRefs: [to('web')] }],
  });
  const cluster = new TestCluster(service('shop/web'), route('shop/http', [to('web')]), grpc);
  assert.deepEqual(names(cluster, 'shop/web:80'), ['shop/grpc']);
  cluster.remove(grpc);
  assert.deepEqual(names(cluster, 'shop/web:80'), ['shop/http']);
});

test('a backend that cannot be used keeps its share and says why, until it can', () => {
  const cluster = new TestCluster(service('shop/web'), service('shop/away', { type: 'ExternalName' }));
  cluster.follow('service shop/web:80');
  cluster.put(
    route('shop/r', [
      to('web'),
      to('none', { weight: 3 }),
      to('web', { port: 81 }),
      { name: 'web' },
      to('away'),
      { group: 'example.test', kind: 'Bucket', name: 'My.Bucket', weight: 2 },
    ]),
  );
  const backends = () => cluster.service('shop/web:80')?.routes[0]?.rules[0]?.backends;
  assert.deepEqual(
    backends()?.map(({ service: key, weight, invalid }) => [key, weight, invalid]),
    [
      ['shop/web:80', 1, undefined],
      ['shop/none:80', 3, 'Service shop/none does not exist'],
      ['shop/web:81', 1, 'Service shop/web has no TCP port 81'],
      ['shop/web', 1, 'Service shop/web is named without a port'],
      ['shop/away:80', 1, 'Service shop/away is an ExternalName and has no endpoints'],
      ['shop/My.Bucket', 2, 'example.test/Bucket shop/My.Bucket is not a kind of backend that is served'],
    ],
  );
  assert.deepEqual(cluster.problems(), [
    'HTTPRoute shop/r: spec.rules[0].backendRefs[1] BackendNotFound',
    'HTTPRoute shop/r: spec.rules[0].backendRefs[2] BackendNotFound',
    'HTTPRoute shop/r: spec.rules[0].backendRefs[3] BackendNotFound',
    'HTTPRoute shop/r: spec.rules[0].backendRefs[4] BackendNotFound',
    'HTTPRoute shop/r: spec.rules[0].backendRefs[5] InvalidKind',
  ]);
  assert.deepEqual(cluster.put(service('shop/none')), ['service shop/web:80']);
  assert.equal(backends()?.[1]?.invalid, undefined);
  assert.deepEqual(cluster.remove(service('shop/none')), ['service shop/web:80']);
  assert.ok(backends()?.[1]?.invalid);
});

test('a route of a caller may send on to the Service that was called, which needs no ReferenceGrant, and nowhere else', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    service('shop/secret'),
    route('front/consumer', [to('web', { namespace: 'shop' }), to('secret', { namespace: 'shop' })]),
  );
  const backends = cluster.service('shop/web:80', 'front')?.routes[0]?.rules[0]?.backends;
  assert.deepEqual(
    backends?.map(({ invalid }) => invalid === undefined),
    [true, false],
  );
  const gateway = { name: 'edge', namespace: 'front' };
  cluster.put(
    httpRoute('front/consumer', {
      parentRefs: [toService('web', { namespace: 'shop' }), gateway],
      rules: [{ backendRefs: [to('web', { namespace: 'shop' })] }],
    }),
  );
  const exposed = cluster.service('shop/web:80', 'front')?.routes[0]?.rules[0]?.backends[0];
  assert.match(exposed?.invalid ?? '', /without a ReferenceGrant/, 'a Gateway has other callers');
});

test('a backend of another namespace needs a ReferenceGrant there, for its kind, namespace and name', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    service('away/db'),
    route('shop/r', [to('db', { namespace: 'away' })]),
  );
  const invalid = () => cluster.service('shop/web:80')?.routes[0]?.rules[0]?.backends[0]?.invalid;
  const grant = (from: object, target: object) =>
    document('ReferenceGrant', 'away/g', {
      from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'shop', ...from }],
      to: [{ group: '', kind: 'Service', ...target }],
    });
  assert.match(invalid() ?? '', /may not be named by a HTTPRoute of namespace shop without a ReferenceGrant/);
  assert.deepEqual(cluster.problems(), ['HTTPRoute shop/r: spec.rules[0].backendRefs[0] RefNotPermitted']);
  for (const [from, target] of [
    [{ kind: 'GRPCRoute' }, {}],
    [{ namespace: 'other' }, {}],
    [{ group: '' }, {}],
    [{}, { name: 'other' }],
    [{}, { kind: 'Secret' }],
  ] as const) {
    cluster.put(grant(from, target));
    assert.ok(invalid(), JSON.stringify([from, target]));
  }
  cluster.put(grant({}, { name: 'db' }));
  assert.equal(invalid(), undefined);
  cluster.put(grant({}, {}));
  assert.equal(invalid(), undefined);
  assert.deepEqual(cluster.problems(), []);
  cluster.remove(grant({}, {}));
  assert.ok(invalid());
});

test('who may not name a Service does not learn whether it exists', () => {
  const cluster = new TestCluster(
    service('shop/web'),
    route('shop/r', [to('secret', { namespace: 'away' })]),
  );
  assert.deepEqual(cluster.problems(), ['HTTPRoute shop/r: spec.rules[0].backendRefs[0] RefNotPermitted']);
});

test('a parent that is not there, has no such port or is an ExternalName is told with its place', () => {
  const parentRefs = [
    toService('none'),
    toService('web', { port: 99 }),
    toService('away'),
    { group: 'example.test', kind: 'Mesh', name: 'x' },
  ];
  const cluster = new TestCluster(
    service('shop/web'),
    service('shop/away', { type: 'ExternalName' }),
    httpRoute('shop/r', { parentRefs, rules: [{ backendRefs: [to('web')] }] }),
  );
  const told = cluster.objects
    .problems()
    .map(({ problem, reason, parent }) => [problem.message, reason, parent]);
  assert.deepEqual(told, [
    ['does not exist', 'NoMatchingParent', 0],
    ['is no TCP port of Service shop/web', 'NoMatchingParent', 1],
    ['is an ExternalName, whose traffic passes through unread', 'NoMatchingParent', 2],
  ]);
  assert.deepEqual(names(cluster, 'shop/web:80'), []);
});

test('a document that cannot be read leaves the last good one in force; the first one is none', () => {
  const wrong = (key: string) =>
    route(key, [to('web')], { rules: [{ backendRefs: [to('web')], sessionPersistance: {} }] });
  const cluster = new TestCluster(service('shop/web'), wrong('shop/first'), route('shop/r', [to('web')]));
  assert.deepEqual(names(cluster, 'shop/web:80'), ['shop/r']);
  cluster.put(wrong('shop/r'));
  assert.deepEqual(names(cluster, 'shop/web:80'), ['shop/r']);
  assert.deepEqual(cluster.problems(), [
    'HTTPRoute shop/first: spec.rules[0].sessionPersistance UnsupportedValue',
    'HTTPRoute shop/r: spec.rules[0].sessionPersistance UnsupportedValue',
  ]);
  cluster.remove(wrong('shop/r'), wrong('shop/first'));
  assert.deepEqual([names(cluster, 'shop/web:80'), cluster.problems()], [[], []]);
});

test('a status that is written, also by others, changes nothing', () => {
  const cluster = new TestCluster(service('shop/web'), route('shop/r', [to('web')]));
  cluster.follow('service shop/web:80');
  const written = { ...route('shop/r', [to('web')]), status: { parents: [{ controllerName: 'x' }] } };
  assert.deepEqual(cluster.put(written), []);
  assert.deepEqual(names(cluster, 'shop/web:80'), ['shop/r']);
});

test('a Gateway of our class has its listeners and the routes that they let in', () => {
  const gatewayClass = document('GatewayClass', 'tulle', { controllerName: 'tulle.dev/gateway-controller' });
  const listener = (name: string, port: number, namespaces: object) => ({
    name,
    port,
    protocol: 'HTTP',
    allowedRoutes: { namespaces },
  });
  const gateway = document('Gateway', 'edge/gw', {
    gatewayClassName: 'tulle',
    listeners: [
      listener('own', 80, { from: 'Same' }),
      listener('some', 81, { from: 'Selector', selector: { matchLabels: { edge: 'yes' } } }),
    ],
  });
  const parent = (more: object = {}) => ({ name: 'gw', namespace: 'edge', ...more });
  const at = (key: string, more?: object) =>
    httpRoute(key, { parentRefs: [parent(more)], rules: [{ backendRefs: [to('web')] }] });
  const cluster = new TestCluster(
    gateway,
    namespace('shop'),
    at('edge/own'),
    at('shop/let-in'),
    at('edge/section', { sectionName: 'nope' }),
  );
  cluster.follow('gateway edge/gw');
  assert.equal(cluster.get('gateway', 'edge/gw'), undefined);
  assert.deepEqual(cluster.put(gatewayClass), ['gateway edge/gw']);
  const attached = () => {
    const resource = cluster.get('gateway', 'edge/gw');
    return resource?.kind === 'gateway' ? resource.routes.map(({ name }) => name) : undefined;
  };
  assert.deepEqual(attached(), ['edge/own']);
  const reasons = () => cluster.problems().filter((one) => !one.includes('backendRefs'));
  assert.deepEqual(reasons(), [
    'HTTPRoute edge/section: spec.parentRefs[0] NoMatchingParent',
    'HTTPRoute shop/let-in: spec.parentRefs[0] NotAllowedByListeners',
  ]);
  assert.deepEqual(cluster.put(namespace('shop', { labels: { edge: 'yes' } })), ['gateway edge/gw']);
  assert.deepEqual(attached(), ['edge/own', 'shop/let-in']);
  cluster.put(document('GatewayClass', 'tulle', { controllerName: 'example.test/other' }));
  assert.equal(attached(), undefined);
});

test('a route of a Gateway that is not ours is not judged', () => {
  const cluster = new TestCluster(
    document('Gateway', 'shop/gw', { gatewayClassName: 'other', listeners: [] }),
    httpRoute('shop/r', { parentRefs: [{ name: 'gw' }], rules: [{ backendRefs: [to('web')] }] }),
    service('shop/web'),
  );
  assert.deepEqual(cluster.problems(), []);
});

test('a mirror of another kind, or that is not there, gets no copies; the route is served all the same', () => {
  const requestMirror = (more: object) => ({ type: 'RequestMirror', requestMirror: { backendRef: more } });
  const filters = [
    requestMirror({ name: 'bucket', group: 'x.test', kind: 'Bucket' }),
    requestMirror(to('none')),
    requestMirror(to('copy')),
  ];
  const rules = [{ filters, backendRefs: [to('web')] }];
  const cluster = new TestCluster(service('shop/web'), service('shop/copy'), route('shop/r', [], { rules }));
  const [rule] = cluster.service('shop/web:80')?.routes[0]?.rules ?? [];
  assert.deepEqual(
    rule?.mirrors?.map(({ service: key, invalid }) => [key, invalid]),
    [
      ['shop/bucket', 'x.test/Bucket shop/bucket is not a kind of backend that is served'],
      ['shop/none:80', 'Service shop/none does not exist'],
      ['shop/copy:80', undefined],
    ],
  );
  assert.deepEqual(rule?.backends[0], { service: 'shop/web:80', weight: 1 });
  assert.deepEqual(
    cluster.problems().map((one) => one.split(' ').slice(2)),
    [
      ['spec.rules[0].filters', 'BackendNotFound'],
      ['spec.rules[0].filters', 'InvalidKind'],
    ],
  );
});

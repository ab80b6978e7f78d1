import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { GatewayResource } from '../../../protocol/resources.ts';
import { createRoot } from '../../authority/certificates.ts';
import { document, namespace, type RawObject, service, TestCluster } from './cluster.fixture.ts';
import {
  allowing,
  gateway,
  listener,
  listenerSet,
  OUR_CLASS,
  routeTo,
  secureListener,
} from './gateway.fixture.ts';

let good: { certificate: string; key: string };
before(async () => {
  const root = await createRoot('mesh.test');
  good = { certificate: root.certificatePem, key: root.keyPem };
});

const ALL = allowing('All');
const OLD = { creationTimestamp: '2026-01-01T00:00:00Z' };
const YOUNG = { creationTimestamp: '2026-01-02T00:00:00Z' };

function cluster(...objects: RawObject[]): TestCluster {
  return new TestCluster(
    OUR_CLASS,
    namespace('edge'),
    namespace('shop', { labels: { edge: 'yes' } }),
    service('edge/web'),
    service('shop/web'),
    ...objects,
  );
}

const resource = (mesh: TestCluster) => mesh.get('gateway', 'edge/gw') as GatewayResource | undefined; // what the key holds
/** Routes by listener, as the gateway is told. */
const told = (mesh: TestCluster) =>
  Object.fromEntries((resource(mesh)?.listeners ?? []).map(({ name, routes }) => [name, routes]));
const names = (mesh: TestCluster) => Object.keys(told(mesh));
const a = (more: object = {}) => listener('a', { hostname: 'a.example', ...more });

/** A route whose parent is the ListenerSet shop/set. */
const routeToSet = (key: string, parent: object = {}, spec: object = {}) =>
  routeTo(key, { kind: 'ListenerSet', name: 'set', namespace: 'shop', ...parent }, spec);

test('a ListenerSet adds its listeners to the Gateway, under names that are not those of the Gateway', () => {
  const mesh = cluster(gateway('edge/gw', [a()], ALL));
  mesh.follow('gateway edge/gw');
  assert.deepEqual(mesh.put(listenerSet('shop/set', [a({ port: 8080 }), listener('b')])), [
    'gateway edge/gw',
  ]);
  assert.deepEqual(
    resource(mesh)?.listeners.map(({ name, port, hostname }) => [name, port, hostname]),
    [
      ['a', 80, 'a.example'],
      ['shop/set/a', 8080, 'a.example'],
      ['shop/set/b', 80, undefined],
    ],
  );
  assert.deepEqual(mesh.problems(), []);
  assert.deepEqual(mesh.remove(listenerSet('shop/set', [])), ['gateway edge/gw']);
  assert.deepEqual(names(mesh), ['a']);
});

test('an attacker whose namespace the Gateway does not allow gets no listener, no Secret and no route', () => {
  const closed: object[] = [
    {},
    { allowedListeners: {} },
    { allowedListeners: { namespaces: {} } },
    allowing('None'),
    allowing('Same'),
    allowing('Selector'),
    allowing('Selector', { selector: {} }),
    allowing('Selector', { selector: { matchLabels: { edge: 'no' } } }),
    allowing('Everybody'),
  ];
  for (const spec of closed) {
    const set = listenerSet('shop/set', [listener('b'), secureListener('c', [{ name: 'web' }])]);
    const mesh = cluster(gateway('edge/gw', [a()], spec), set, routeToSet('shop/r'));
    assert.deepEqual(told(mesh), { a: [] }, JSON.stringify(spec));
    assert.deepEqual([...mesh.objects.gateways.wantedSecrets()], []);
    assert.deepEqual(mesh.problems(), [
      'HTTPRoute shop/r: spec.parentRefs[0] NoMatchingParent',
      'ListenerSet shop/set: spec.parentRef NotAllowed',
    ]);
  }
});

test('by default not even the own namespace is let in', () => {
  for (const spec of [
    {},
    { allowedListeners: {} },
    { allowedListeners: { namespaces: {} } },
    allowing('None'),
  ])
    assert.deepEqual(
      names(cluster(gateway('edge/gw', [a()], spec), listenerSet('edge/set', [listener('b')]))),
      ['a'],
    );
});

test('namespaces are let in by All, by Same and by their labels, and go when the labels do', () => {
  const open = [ALL, allowing('Selector', { selector: { matchLabels: { edge: 'yes' } } })];
  for (const spec of open)
    assert.deepEqual(
      names(cluster(gateway('edge/gw', [a()], spec), listenerSet('shop/set', [listener('b')]))),
      ['a', 'shop/set/b'],
    );
  const own = cluster(gateway('edge/gw', [a()], allowing('Same')), listenerSet('edge/set', [listener('b')]));
  assert.deepEqual(names(own), ['a', 'edge/set/b']);

  const mesh = cluster(gateway('edge/gw', [a()], open[1]), listenerSet('shop/set', [listener('b')]));
  mesh.follow('gateway edge/gw');
  assert.deepEqual(mesh.put(namespace('shop')), ['gateway edge/gw']);
  assert.deepEqual(names(mesh), ['a']);
  mesh.put(namespace('shop', { labels: { edge: 'yes' } }));
  assert.deepEqual(names(mesh), ['a', 'shop/set/b']);
});

test('an attacker cannot take a host or a port from the Gateway, also where that serves nothing', () => {
  const own = [
    a(),
    listener('twice', { port: 81, hostname: 'b.example' }),
    listener('twice-too', { port: 81, hostname: 'b.example' }),
    listener('tcp', { port: 82, protocol: 'TCP' }),
    secureListener('https', [], { port: 83 }),
  ];
  const mesh = cluster(gateway('edge/gw', own, ALL));
  mesh.put(
    listenerSet('shop/set', [
      a({ hostname: 'A.example' }),
      listener('b', { port: 81, hostname: 'b.example' }),
      listener('c', { port: 82 }),
      listener('d', { port: 83 }),
      secureListener('e', [], { port: 83 }),
      listener('f', { port: 80, protocol: 'TCP' }),
      listener('free', { hostname: 'free.example' }),
    ]),
  );
  assert.deepEqual(names(mesh), ['a', 'shop/set/free']);
  assert.deepEqual(
    mesh.problems().filter((one) => one.startsWith('ListenerSet') && !one.includes('InvalidCertificateRef')),
    [
      'ListenerSet shop/set: spec.listeners[0].hostname HostnameConflict',
      'ListenerSet shop/set: spec.listeners[1].hostname HostnameConflict',
      'ListenerSet shop/set: spec.listeners[2].protocol ProtocolConflict',
      'ListenerSet shop/set: spec.listeners[3].protocol ProtocolConflict',
      'ListenerSet shop/set: spec.listeners[4].hostname HostnameConflict',
      'ListenerSet shop/set: spec.listeners[5].protocol ProtocolConflict',
    ],
  );
  const whose = JSON.stringify(mesh.objects.problemsOf('ListenerSet', 'shop/set'));
  assert.ok(!whose.includes('twice'), 'what the Gateway has is not told');
});

test('of two ListenerSets the older has what both want, then the first by name; what goes is free again', () => {
  const mesh = cluster(gateway('edge/gw', [listener('own', { port: 81 })], ALL));
  mesh.put(listenerSet('edge/young', [a(), listener('more')], YOUNG));
  assert.deepEqual(names(mesh), ['own', 'edge/young/a', 'edge/young/more']);
  mesh.put(listenerSet('shop/old', [a()], OLD), listenerSet('edge/z', [a()], OLD));
  assert.deepEqual(names(mesh), ['own', 'edge/z/a', 'edge/young/more']);
  mesh.remove(listenerSet('edge/z', []));
  assert.deepEqual(names(mesh), ['own', 'shop/old/a', 'edge/young/more']);
  assert.deepEqual(mesh.problems(), ['ListenerSet edge/young: spec.listeners[0].hostname HostnameConflict']);
  mesh.remove(listenerSet('shop/old', []));
  assert.deepEqual(names(mesh), ['own', 'edge/young/a', 'edge/young/more']);
  assert.deepEqual(mesh.problems(), []);
});

test('what a ListenerSet lost does not stand in the way of its other listeners, nor of younger ones', () => {
  const mesh = cluster(gateway('edge/gw', [a()], ALL));
  mesh.put(
    listenerSet(
      'edge/one',
      [listener('lost', { protocol: 'TCP' }), listener('b', { hostname: 'b.example' })],
      OLD,
    ),
    listenerSet(
      'edge/two',
      [listener('odd', { port: 4191 }), listener('c', { hostname: 'c.example' })],
      YOUNG,
    ),
  );
  assert.deepEqual(names(mesh), ['a', 'edge/one/b', 'edge/two/c']);
});

test('routes are attached by the ListenerSet, not by the Gateway, and from its own namespace by default', () => {
  const mesh = cluster(
    gateway('edge/gw', [a()], ALL),
    listenerSet('shop/set', [listener('b', { hostname: 'b.example' }), listener('c', { port: 81 })]),
  );
  mesh.put(
    routeToSet('shop/all'),
    routeToSet('shop/one', { sectionName: 'b' }),
    routeToSet('shop/port', { port: 81 }),
    routeToSet('edge/other'),
    routeTo('edge/gateway'),
    routeTo('edge/section', { sectionName: 'b' }),
    routeTo('edge/key', { sectionName: 'shop/set/b' }),
    routeToSet('shop/none', { name: 'none' }),
  );
  assert.deepEqual(told(mesh), {
    a: ['HTTPRoute edge/gateway'],
    'shop/set/b': ['HTTPRoute shop/all', 'HTTPRoute shop/one'],
    'shop/set/c': ['HTTPRoute shop/all', 'HTTPRoute shop/port'],
  });
  assert.deepEqual(mesh.problems(), [
    'HTTPRoute edge/key: spec.parentRefs[0] NoMatchingParent',
    'HTTPRoute edge/other: spec.parentRefs[0] NotAllowedByListeners',
    'HTTPRoute edge/section: spec.parentRefs[0] NoMatchingParent',
    'HTTPRoute shop/none: spec.parentRefs[0] NoMatchingParent',
  ]);
});

test('a route follows its ListenerSet when that comes, changes, names another Gateway and goes', () => {
  const mesh = cluster(
    gateway('edge/gw', [a()], ALL),
    gateway('edge/other', [a()], ALL),
    routeToSet('shop/r'),
  );
  mesh.follow('gateway edge/gw', 'gateway edge/other');
  mesh.put(listenerSet('shop/set', [listener('b')]));
  assert.deepEqual(told(mesh)['shop/set/b'], ['HTTPRoute shop/r']);
  mesh.put(listenerSet('shop/set', [listener('c', { allowedRoutes: { kinds: [{ kind: 'GRPCRoute' }] } })]));
  assert.deepEqual(told(mesh)['shop/set/c'], []);
  const moved = document('ListenerSet', 'shop/set', {
    parentRef: { name: 'other', namespace: 'edge' },
    listeners: [listener('b'), a()],
  });
  assert.deepEqual(mesh.put(moved), ['gateway edge/gw', 'gateway edge/other']);
  assert.deepEqual(names(mesh), ['a']);
  const other = mesh.get('gateway', 'edge/other') as GatewayResource; // what the key holds
  assert.deepEqual(
    other.listeners.map(({ name, routes }) => [name, routes]),
    [
      ['a', []],
      ['shop/set/b', ['HTTPRoute shop/r']],
    ],
  );
  assert.deepEqual(mesh.problems(), ['ListenerSet shop/set: spec.listeners[1].hostname HostnameConflict']);
  assert.deepEqual(mesh.remove(gateway('edge/other', [])), ['gateway edge/other']);
  assert.deepEqual(mesh.problems(), [], 'nobody knows whose it is now');
});

test('an attacker cannot use a Secret that was granted to the Gateway: a ListenerSet needs a grant of its own', () => {
  const refs = [{ name: 'web', namespace: 'vault' }];
  const grant = (kind: string, from: string) =>
    document('ReferenceGrant', `vault/${kind.toLowerCase()}`, {
      from: [{ group: 'gateway.networking.k8s.io', kind, namespace: from }],
      to: [{ group: '', kind: 'Secret' }],
    });
  const mesh = cluster(
    gateway('edge/gw', [a()], ALL),
    listenerSet('edge/set', [secureListener('s', refs)]),
    grant('Gateway', 'edge'),
  );
  const { gateways } = mesh.objects;
  gateways.putSecret('vault/web', good);
  mesh.put();
  assert.deepEqual(names(mesh), ['a']);
  assert.deepEqual([...gateways.wantedSecrets()], []);
  assert.deepEqual(mesh.problems(), [
    'ListenerSet edge/set: spec.listeners[0].tls.certificateRefs[0] RefNotPermitted',
  ]);
  mesh.put(grant('ListenerSet', 'shop'));
  assert.deepEqual([...gateways.wantedSecrets()], [], 'of another namespace');
  mesh.put(grant('ListenerSet', 'edge'));
  assert.deepEqual([...gateways.wantedSecrets()], ['vault/web']);
  assert.deepEqual(resource(mesh)?.listeners[1]?.tls, { mode: 'Terminate', certificates: [good] });
  mesh.remove(grant('ListenerSet', 'edge'));
  assert.deepEqual(names(mesh), ['a']);
});

test('a Secret of the ListenerSet is looked for in its own namespace', () => {
  const mesh = cluster(
    gateway('edge/gw', [a()], ALL),
    listenerSet('shop/set', [secureListener('s', [{ name: 'web' }])]),
  );
  assert.deepEqual([...mesh.objects.gateways.wantedSecrets()], ['shop/web']);
});

test('an attacker cannot serve without clients’ certificates where the Gateway asks for them', () => {
  const ca = { group: '', kind: 'ConfigMap', name: 'ca' };
  const tls = { validation: { caCertificateRefs: [ca] } };
  const spec = { ...ALL, tls: { frontend: { default: {}, perPort: [{ port: 443, tls }] } } };
  const mesh = cluster(
    gateway('edge/gw', [a()], spec),
    listenerSet('shop/set', [secureListener('s', [{ name: 'web' }])]),
  );
  const { gateways } = mesh.objects;
  gateways.putSecret('shop/web', good);
  gateways.putAuthority('shop/ca', { pem: 'of the attacker' });
  mesh.put();
  assert.deepEqual([...gateways.wantedAuthorities()], ['edge/ca'], 'of the namespace of the Gateway');
  assert.deepEqual(names(mesh), ['a'], 'it has not been read yet');
  gateways.putAuthority('edge/ca', { wrong: 'does not exist' });
  mesh.put();
  assert.deepEqual(names(mesh), ['a']);
  assert.match(mesh.problems().join(), /ListenerSet shop\/set: .*NoValidCACertificate/);
  gateways.putAuthority('edge/ca', { pem: 'the authority' });
  mesh.put();
  assert.deepEqual(resource(mesh)?.listeners[1]?.tls?.clientAuthorities, {
    certificates: ['the authority'],
    mode: 'AllowValidOnly',
  });
});

test('a Gateway that is not accepted has no ListenerSets', () => {
  for (const own of [
    gateway('edge/gw', [listener('tcp', { protocol: 'TCP' })], ALL),
    gateway('edge/gw', [a()], { ...ALL, infrastructure: { parametersRef: { kind: 'X' } } }),
  ]) {
    const mesh = cluster(own, listenerSet('edge/set', [listener('b', { port: 81 })]));
    assert.ok(!names(mesh).includes('edge/set/b'));
    assert.ok(mesh.problems().includes('ListenerSet edge/set: spec.parentRef ParentNotAccepted'));
  }
});

test('an attacker cannot exhaust a gateway by ever more listeners: the oldest are served', () => {
  const sixtyFour = (from: number) =>
    Array.from({ length: 64 }, (_, at) => listener(`l${at}`, { port: from + at }));
  const sets = Array.from({ length: 20 }, (_, at) =>
    listenerSet(`edge/s${String(at).padStart(2, '0')}`, sixtyFour(10_000 + 64 * at)),
  );
  const mesh = cluster(gateway('edge/gw', [a()], ALL), ...sets);
  assert.equal(names(mesh).length, 1_024);
  assert.equal(names(mesh).at(-1), 'edge/s15/l62');
  assert.ok(mesh.problems().includes('ListenerSet edge/s15: spec.listeners[63] TooManyListeners'));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  document,
  httpRoute,
  type RawObject,
  service,
  TestCluster,
  toService,
} from '../registry/kubernetes/cluster.fixture.ts';
import { gateway, listener, OUR_CLASS, routeTo } from '../registry/kubernetes/gateway.fixture.ts';
import type { WrittenCondition } from './conditions.ts';
import { routeStatus } from './route-status.ts';

const CONTROLLER = 'tulle.dev/gateway-controller';
const THEIRS = {
  parentRef: { name: 'theirs' },
  controllerName: 'example.test/controller',
  conditions: [{ type: 'Accepted', status: 'False' }],
};

function parentsOf(mesh: TestCluster, key: string, kind = 'HTTPRoute') {
  const seen = mesh.objects.seen.get(kind, key);
  assert.ok(seen);
  return routeStatus(seen, mesh.objects, new Date()).parents;
}

/** `Type=Status Reason` of each parent. */
function words(mesh: TestCluster, key: string): string[][] {
  return parentsOf(mesh, key).map(({ conditions }) =>
    (conditions as WrittenCondition[]).map(({ type, status, reason }) => `${type}=${status} ${reason}`),
  );
}

const cluster = (...objects: RawObject[]) =>
  new TestCluster(OUR_CLASS, gateway('edge/gw', [listener('a')]), service('edge/web'), ...objects);
const GOOD = ['Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs'];

test('each parent of ours has an entry with the reference as it is written; others have none of ours', () => {
  const parentRefs = [
    { name: 'gw', sectionName: 'a' },
    { name: 'gw', sectionName: 'none' },
    toService('web'),
    { name: 'other' },
    { name: 'missing' },
    { group: 'example.test', kind: 'Mesh', name: 'x' },
  ];
  const mesh = cluster(
    document('Gateway', 'edge/other', { gatewayClassName: 'theirs', listeners: [] }),
    httpRoute('edge/r', { parentRefs, rules: [{ backendRefs: [{ name: 'web', port: 80 }] }] }),
  );
  const parents = parentsOf(mesh, 'edge/r');
  assert.deepEqual(
    parents.map(({ parentRef }) => parentRef),
    parentRefs.slice(0, 3),
  );
  assert.ok(parents.every(({ controllerName }) => controllerName === CONTROLLER));
  assert.deepEqual(words(mesh, 'edge/r'), [
    GOOD,
    ['Accepted=False NoMatchingParent', 'ResolvedRefs=True ResolvedRefs'],
    GOOD,
  ]);
});

test('entries of other controllers stay as they are; ours for what is no parent any more go', () => {
  const gone = { parentRef: { name: 'before' }, controllerName: CONTROLLER, conditions: [] };
  const mesh = cluster({ ...routeTo('edge/r'), status: { parents: [gone, THEIRS] } } as RawObject);
  const parents = parentsOf(mesh, 'edge/r');
  assert.deepEqual(parents[0], THEIRS);
  assert.deepEqual(parents[1]?.parentRef, {
    group: 'gateway.networking.k8s.io',
    kind: 'Gateway',
    name: 'gw',
    namespace: 'edge',
  });
  assert.equal(parents.length, 2);
});

test('an entry of ours stays where it is: with a controller that puts its own last too, neither would ever be content', () => {
  const mesh = cluster(routeTo('edge/r'));
  const [own] = parentsOf(mesh, 'edge/r');
  const other = cluster({ ...routeTo('edge/r'), status: { parents: [own, THEIRS] } } as RawObject);
  assert.deepEqual(parentsOf(other, 'edge/r'), [own, THEIRS]);
});

test('what is wrong with backends is told as ResolvedRefs of all parents, with the reason', () => {
  const backends = (...backendRefs: object[]) => ({ rules: [{ backendRefs }] });
  const cases: [object, string][] = [
    [backends({ name: 'none', port: 80 }), 'BackendNotFound'],
    [backends({ name: 'web', port: 80, namespace: 'away' }), 'RefNotPermitted'],
    [backends({ group: 'example.test', kind: 'Bucket', name: 'x' }), 'InvalidKind'],
  ];
  for (const [spec, reason] of cases)
    assert.deepEqual(words(cluster(routeTo('edge/r', {}, spec)), 'edge/r'), [
      ['Accepted=True Accepted', `ResolvedRefs=False ${reason}`],
    ]);
});

test('a route that may not attach is not accepted, though its references are there', () => {
  const mesh = cluster(service('shop/web'), routeTo('shop/r'));
  assert.deepEqual(words(mesh, 'shop/r'), [
    ['Accepted=False NotAllowedByListeners', 'ResolvedRefs=True ResolvedRefs'],
  ]);
});

test('a document that cannot be read is not accepted, also one that never could', () => {
  const wrong = routeTo(
    'edge/r',
    {},
    { rules: [{ backendRefs: [{ name: 'web', port: 80 }], sessionPersistance: {} }] },
  );
  for (const mesh of [cluster(wrong), cluster(routeTo('edge/r'), wrong)]) {
    assert.deepEqual(words(mesh, 'edge/r'), [
      ['Accepted=False UnsupportedValue', 'ResolvedRefs=True ResolvedRefs'],
    ]);
    assert.match(JSON.stringify(parentsOf(mesh, 'edge/r')), /sessionPersistance/);
  }
});

test('the conditions are of the generation that was looked at', () => {
  const mesh = cluster({ ...routeTo('edge/r'), metadata: { ...routeTo('edge/r').metadata, generation: 4 } });
  const conditions = parentsOf(mesh, 'edge/r')[0]?.conditions as WrittenCondition[];
  assert.deepEqual(
    conditions.map((one) => one.observedGeneration),
    [4, 4],
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProvisionedState } from '../gateways/gateway-provisioner.ts';
import { namespace, service, TestCluster } from '../registry/kubernetes/cluster.fixture.ts';
import {
  allowing,
  gateway,
  listener,
  listenerSet,
  OUR_CLASS,
  routeTo,
  secureListener,
} from '../registry/kubernetes/gateway.fixture.ts';
import type { Condition } from './conditions.ts';
import { gatewayStatus } from './gateway-status.ts';
import { listenerSetStatus } from './listener-set-status.ts';
import { routeStatus } from './route-status.ts';

const READY: ProvisionedState = { available: 1, addresses: [{ type: 'IPAddress', value: '10.96.0.9' }] };
const NOW = new Date('2026-03-01T00:00:00Z');

interface Status {
  readonly conditions: readonly Condition[];
  readonly listeners: readonly {
    readonly name: string;
    readonly attachedRoutes: number;
    readonly conditions: readonly Condition[];
  }[];
}

function cluster(spec: object, ...listeners: object[]): TestCluster {
  return new TestCluster(
    OUR_CLASS,
    namespace('edge'),
    service('edge/web'),
    gateway('edge/gw', [listener('own')], spec),
    listenerSet('edge/set', listeners, { generation: 3 }),
  );
}

function statusOf(mesh: TestCluster, state = READY): Status | undefined {
  const seen = mesh.objects.seen.get('ListenerSet', 'edge/set');
  assert.ok(seen);
  return listenerSetStatus(seen, mesh.objects, state, NOW) as Status | undefined; // what is written
}

const words = (conditions: readonly Condition[] = []) =>
  conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`);

const attachedSets = (mesh: TestCluster) =>
  (gatewayStatus('edge/gw', mesh.objects, READY, NOW) as { attachedListenerSets?: number })
    .attachedListenerSets;

test('a ListenerSet that is served is accepted and programmed, and its Gateway and its routes say so', () => {
  const mesh = cluster(allowing('Same'), listener('a', { port: 81 }), listener('b', { port: 82 }));
  mesh.put(
    routeTo('edge/r', { kind: 'ListenerSet', name: 'set' }),
    routeTo('edge/one', { kind: 'ListenerSet', name: 'set', sectionName: 'b' }),
    routeTo('edge/gw'),
  );
  const { conditions, listeners } = statusOf(mesh) ?? assert.fail();
  assert.deepEqual(words(conditions), ['Accepted=True Accepted', 'Programmed=True Programmed']);
  assert.deepEqual(
    listeners.map((one) => [one.name, one.attachedRoutes]),
    [
      ['a', 1],
      ['b', 2],
    ],
  );
  for (const one of listeners)
    assert.deepEqual(words(one.conditions), [
      'Accepted=True Accepted',
      'Conflicted=False NoConflicts',
      'ResolvedRefs=True ResolvedRefs',
      'Programmed=True Programmed',
    ]);
  const all = [...conditions, ...listeners.flatMap((one) => one.conditions)];
  assert.ok(
    all.every((one) => one.observedGeneration === 3),
    'of the ListenerSet, not of the Gateway',
  );
  assert.equal(attachedSets(mesh), 1);
  const route = mesh.objects.seen.get('HTTPRoute', 'edge/one') ?? assert.fail();
  const { parents } = routeStatus(route, mesh.objects, NOW);
  assert.deepEqual(
    parents.map(({ parentRef, conditions: own }) => [
      parentRef?.kind,
      parentRef?.sectionName,
      ...words(own as Condition[]),
    ]),
    [['ListenerSet', 'b', 'Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs']],
  );
});

test('one that is not allowed, or has no listener that is served, is told why, and does not count', () => {
  const conflict = cluster(allowing('All'), listener('lost'));
  assert.deepEqual(words(statusOf(conflict)?.conditions), [
    'Accepted=False ListenersNotValid',
    'Programmed=False ListenersNotValid',
  ]);
  assert.deepEqual(words(statusOf(conflict)?.listeners[0]?.conditions), [
    'Accepted=False HostnameConflict',
    'Conflicted=True HostnameConflict',
    'ResolvedRefs=True ResolvedRefs',
    'Programmed=False HostnameConflict',
  ]);
  const closed = cluster({}, listener('a', { port: 81 }));
  assert.deepEqual(words(statusOf(closed)?.conditions), [
    'Accepted=False NotAllowed',
    'Programmed=False NotAllowed',
  ]);
  assert.deepEqual(statusOf(closed)?.listeners, []);
  for (const mesh of [conflict, closed]) assert.equal(attachedSets(mesh), 0);
});

test('one with some listeners that are served is accepted, and told what is wrong with the others', () => {
  const mesh = cluster(allowing('All'), listener('lost'), listener('a', { port: 81 }));
  assert.deepEqual(words(statusOf(mesh)?.conditions), [
    'Accepted=True ListenersNotValid',
    'Programmed=True Programmed',
  ]);
  assert.equal(attachedSets(mesh), 1);
});

test('until its Gateway is served, and what its Secrets hold is known, it is waited for', () => {
  const mesh = cluster(allowing('All'), listener('a', { port: 81 }));
  assert.deepEqual(words(statusOf(mesh, { available: 0, addresses: [] })?.conditions), [
    'Accepted=True Accepted',
    'Programmed=False ParentNotProgrammed',
  ]);
  mesh.put(listenerSet('edge/set', [secureListener('s', [{ name: 'web' }])]));
  assert.equal(statusOf(mesh), undefined);
});

test('a ListenerSet for a Gateway of another class is left alone; one that was accepted is not when its Gateway goes', () => {
  const mesh = cluster(allowing('All'), listener('a', { port: 81 }));
  const status = statusOf(mesh);
  mesh.put({ ...listenerSet('edge/set', [listener('a', { port: 81 })]), ...{ status } });
  mesh.put(gateway('edge/gw', [listener('own')], { gatewayClassName: 'other' }));
  assert.equal(statusOf(mesh), undefined);
  mesh.remove(gateway('edge/gw', []));
  assert.deepEqual(words(statusOf(mesh)?.conditions), [
    'Accepted=Unknown Pending',
    'Programmed=Unknown Pending',
  ]);
  mesh.put(listenerSet('edge/set', [listener('a', { port: 81 })]));
  assert.equal(statusOf(mesh), undefined, 'it was never accepted');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProvisionedState } from '../gateways/gateway-provisioner.ts';
import { type RawObject, service, TestCluster } from '../registry/kubernetes/cluster.fixture.ts';
import {
  gateway,
  listener,
  OUR_CLASS,
  routeTo,
  secureListener,
} from '../registry/kubernetes/gateway.fixture.ts';
import type { Condition } from './conditions.ts';
import { gatewayStatus } from './gateway-status.ts';

const READY: ProvisionedState = { available: 2, addresses: [{ type: 'IPAddress', value: '10.96.0.9' }] };

interface Status {
  readonly addresses: readonly object[];
  readonly conditions: readonly Condition[];
  readonly listeners: readonly {
    readonly name: string;
    readonly attachedRoutes: number;
    readonly supportedKinds: readonly { readonly kind: string }[];
    readonly conditions: readonly Condition[];
  }[];
}

function statusOf(mesh: TestCluster, state: ProvisionedState | undefined = READY): Status {
  const status = gatewayStatus('edge/gw', mesh.objects, state, new Date());
  assert.ok(status);
  return status as Status; // what is written
}

/** `Type=Status Reason`. */
const words = (conditions: readonly Condition[] | undefined) =>
  (conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`);

test('a Gateway that is served is accepted and programmed, with its addresses and routes', () => {
  const mesh = new TestCluster(
    OUR_CLASS,
    gateway('edge/gw', [listener('a'), listener('b', { port: 81 })]),
    service('edge/web'),
    routeTo('edge/one', { sectionName: 'a' }),
    routeTo('edge/two'),
  );
  const { conditions, listeners, addresses } = statusOf(mesh);
  assert.deepEqual(addresses, READY.addresses);
  assert.deepEqual(words(conditions), [
    'Accepted=True Accepted',
    'Programmed=True Programmed',
    'ResolvedRefs=True ResolvedRefs',
  ]);
  assert.deepEqual(
    listeners.map(({ name, attachedRoutes, supportedKinds }) => [
      name,
      attachedRoutes,
      ...supportedKinds.map(({ kind }) => kind),
    ]),
    [
      ['a', 2, 'HTTPRoute', 'GRPCRoute'],
      ['b', 1, 'HTTPRoute', 'GRPCRoute'],
    ],
  );
  for (const one of listeners)
    assert.deepEqual(words(one.conditions), [
      'Accepted=True Accepted',
      'Conflicted=False NoConflicts',
      'ResolvedRefs=True ResolvedRefs',
      'Programmed=True Programmed',
    ]);
  assert.ok(
    [...conditions, ...listeners.flatMap((one) => one.conditions)].every(
      (one) => one.observedGeneration === 1,
    ),
  );
});

test('what is not there yet is waited for, by its reason', () => {
  const mesh = new TestCluster(OUR_CLASS, gateway('edge/gw', [listener('a')]));
  const programmed = (state: ProvisionedState) => words(statusOf(mesh, state).conditions)[1];
  assert.equal(programmed({ ...READY, available: 0 }), 'Programmed=False Pending');
  assert.equal(programmed({ ...READY, addresses: [] }), 'Programmed=False AddressNotAssigned');
  assert.equal(programmed({ ...READY, problem: 'no quota' }), 'Programmed=False NoResources');
  assert.equal(gatewayStatus('edge/gw', mesh.objects, undefined, new Date()), undefined);
});

test('an address that is asked for must be had', () => {
  const mesh = new TestCluster(
    OUR_CLASS,
    gateway('edge/gw', [listener('a')], { addresses: [{ value: '192.0.2.1' }] }),
  );
  assert.equal(words(statusOf(mesh).conditions)[1], 'Programmed=False AddressNotUsable');
  const had = { ...READY, addresses: [{ type: 'IPAddress' as const, value: '192.0.2.1' }] };
  assert.equal(words(statusOf(mesh, had).conditions)[1], 'Programmed=True Programmed');
});

test('a Gateway of which some listeners are accepted is accepted, one of which none is, is not', () => {
  const odd = listener('odd', { port: 1111, protocol: 'INVALID' });
  const some = statusOf(new TestCluster(OUR_CLASS, gateway('edge/gw', [listener('a'), odd])));
  assert.deepEqual(words(some.conditions), [
    'Accepted=True ListenersNotValid',
    'Programmed=True Programmed',
    'ResolvedRefs=True ResolvedRefs',
  ]);
  const none = statusOf(new TestCluster(OUR_CLASS, gateway('edge/gw', [odd])));
  assert.deepEqual(words(none.conditions), [
    'Accepted=False ListenersNotValid',
    'Programmed=False Invalid',
    'ResolvedRefs=True ResolvedRefs',
  ]);
  assert.deepEqual(none.listeners[0]?.supportedKinds, []);
  assert.deepEqual(words(none.listeners[0]?.conditions), [
    'Accepted=False UnsupportedProtocol',
    'Conflicted=False NoConflicts',
    'ResolvedRefs=True ResolvedRefs',
    'Programmed=False Invalid',
  ]);
  assert.match(none.listeners[0]?.conditions[0]?.message ?? '', /"INVALID" is not a protocol.*write HTTP/);
});

test('listeners in conflict say so', () => {
  const both = [listener('a'), listener('b')];
  const { listeners } = statusOf(new TestCluster(OUR_CLASS, gateway('edge/gw', both)));
  for (const one of listeners)
    assert.deepEqual(words(one.conditions).slice(0, 2), [
      'Accepted=False HostnameConflict',
      'Conflicted=True HostnameConflict',
    ]);
});

test('a listener without its certificate still counts its routes, and is not programmed', () => {
  const mesh = new TestCluster(
    OUR_CLASS,
    gateway('edge/gw', [secureListener('tls', [{ name: 'none' }])]),
    service('edge/web'),
    routeTo('edge/r'),
  );
  assert.equal(gatewayStatus('edge/gw', mesh.objects, READY, new Date()), undefined, 'it was not read yet');
  mesh.objects.gateways.putSecret('edge/none', { wrong: 'does not exist' });
  mesh.put();
  const { conditions, listeners } = statusOf(mesh);
  assert.deepEqual(words(conditions), [
    'Accepted=True Accepted',
    'Programmed=False Invalid',
    'ResolvedRefs=True ResolvedRefs',
  ]);
  assert.equal(listeners[0]?.attachedRoutes, 1);
  assert.deepEqual(words(listeners[0]?.conditions).slice(2), [
    'ResolvedRefs=False InvalidCertificateRef',
    'Programmed=False Invalid',
  ]);
});

test('parameters that are not understood refuse the Gateway', () => {
  const mesh = new TestCluster(
    OUR_CLASS,
    gateway('edge/gw', [listener('a')], { infrastructure: { parametersRef: { kind: 'X', name: 'y' } } }),
  );
  const { conditions, addresses } = statusOf(mesh);
  assert.deepEqual(words(conditions), [
    'Accepted=False InvalidParameters',
    'Programmed=False Invalid',
    'ResolvedRefs=True ResolvedRefs',
  ]);
  assert.deepEqual(addresses, []);
});

test('authorities that cannot be had are told at the listeners that need them', () => {
  const ref = { group: '', kind: 'ConfigMap', name: 'ca' };
  const frontend = { default: { validation: { caCertificateRefs: [ref] } } };
  const listeners = [secureListener('tls', [{ name: 'web' }]), listener('plain')];
  const mesh = new TestCluster(OUR_CLASS, gateway('edge/gw', listeners, { tls: { frontend } }));
  mesh.objects.gateways.putSecret('edge/web', { certificate: 'x', key: 'y' });
  mesh.put();
  assert.equal(gatewayStatus('edge/gw', mesh.objects, READY, new Date()), undefined, 'it was not read yet');
  mesh.objects.gateways.putAuthority('edge/ca', { wrong: 'does not exist' });
  mesh.put();
  const status = statusOf(mesh);
  const [tls, plain] = status.listeners;
  assert.deepEqual(words(tls?.conditions), [
    'Accepted=False NoValidCACertificate',
    'Conflicted=False NoConflicts',
    'ResolvedRefs=False InvalidCACertificateRef',
    'Programmed=False Invalid',
  ]);
  assert.ok(words(plain?.conditions).includes('Programmed=True Programmed'));
  assert.equal(words(status.conditions)[0], 'Accepted=True ListenersNotValid');
  assert.match(tls?.conditions[2]?.message ?? '', /ConfigMap edge\/ca does not exist/);
});

test('that clients are let in without a valid certificate is said as long as it is so', () => {
  const ref = { group: '', kind: 'ConfigMap', name: 'ca' };
  const gatewayOf = (mode: string) => {
    const tls = { validation: { caCertificateRefs: [ref], mode } };
    const frontend = { default: {}, perPort: [{ port: 443, tls }] };
    return gateway('edge/gw', [listener('plain')], { tls: { frontend } });
  };
  const mesh = new TestCluster(OUR_CLASS, gatewayOf('AllowInsecureFallback'));
  const status = statusOf(mesh);
  assert.equal(words(status.conditions)[3], 'InsecureFrontendValidationMode=True ConfigurationChanged');
  mesh.put({ ...gatewayOf('AllowValidOnly'), status } as RawObject);
  assert.equal(statusOf(mesh).conditions.length, 3);
});

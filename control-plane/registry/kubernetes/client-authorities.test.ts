import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayResource } from '../../../protocol/resources.ts';
import { document, TestCluster } from './cluster.fixture.ts';
import { gateway, listener, OUR_CLASS, secureListener } from './gateway.fixture.ts';

const PAIR = { certificate: 'a certificate', key: 'a key' };
const CA = { group: '', kind: 'ConfigMap', name: 'ca' };
const REFS = [{ name: 'web' }];

const validation = (refs: readonly object[], mode?: string) => ({
  validation: { caCertificateRefs: refs, ...(mode !== undefined && { mode }) },
});

/** The Gateway edge/gw, whose listeners have their certificates. */
function cluster(listeners: readonly object[], frontend: object): TestCluster {
  const mesh = new TestCluster(OUR_CLASS, gateway('edge/gw', listeners, { tls: { frontend } }));
  mesh.objects.gateways.putSecret('edge/web', PAIR);
  mesh.put();
  return mesh;
}

function read(mesh: TestCluster, key: string, state: { pem: string } | { wrong: string } | undefined): void {
  mesh.objects.gateways.putAuthority(key, state);
  mesh.put();
}

/** Of what is told to the proxy: `NAME MODE authorities`. */
function told(mesh: TestCluster): string[] {
  const resource = mesh.get('gateway', 'edge/gw') as GatewayResource | undefined; // what the key holds
  return (resource?.listeners ?? []).map(({ name, tls }) => {
    const { mode = 'nobody', certificates = [] } = tls?.clientAuthorities ?? {};
    return [name, mode, ...certificates].join(' ');
  });
}

/** Of one listener: whether it is refused, and what else is wrong. */
function faults(mesh: TestCluster, index = 0): string[] {
  const one = mesh.objects.gateways.gateway('edge/gw')?.listeners[index];
  return [one?.refused, ...(one?.unresolved ?? [])].flatMap((fault) => fault?.reason ?? []);
}

const wanted = (mesh: TestCluster) => [...mesh.objects.gateways.wantedAuthorities()];

test('clients are checked by the default, or by what is for the port, where TLS ends', () => {
  const mesh = cluster(
    [
      secureListener('https', REFS),
      secureListener('own', REFS, { port: 8443 }),
      secureListener('open', REFS, { port: 9443 }),
      secureListener('tls', REFS, { port: 7443, protocol: 'TLS' }),
      listener('plain'),
      listener('pass', { port: 6443, protocol: 'TLS', tls: { mode: 'Passthrough' } }),
    ],
    {
      default: validation([CA]),
      perPort: [
        { port: 8443, tls: validation([{ ...CA, name: 'second' }], 'AllowInsecureFallback') },
        { port: 9443, tls: {} },
        { port: 80, tls: validation([{ ...CA, name: 'of-nobody' }]) },
      ],
    },
  );
  assert.deepEqual(wanted(mesh), ['edge/ca', 'edge/second', 'edge/of-nobody']);
  read(mesh, 'edge/ca', { pem: 'one' });
  read(mesh, 'edge/second', { pem: 'two' });
  assert.deepEqual(told(mesh), [
    'https AllowValidOnly one',
    'own AllowInsecureFallback two',
    'open nobody',
    'tls AllowValidOnly one',
    'plain nobody',
    'pass nobody',
  ]);
  assert.deepEqual(mesh.problems(), []);
});

test('a mode that is not known is taken for the stricter one', () => {
  const mesh = cluster([secureListener('a', REFS)], { default: validation([CA], 'AllowEverything') });
  read(mesh, 'edge/ca', { pem: 'one' });
  assert.deepEqual(told(mesh), ['a AllowValidOnly one']);
});

for (const mode of ['AllowValidOnly', 'AllowInsecureFallback'])
  for (const [what, ref, state, reason] of [
    ['does not exist', CA, { wrong: 'does not exist' }, 'InvalidCACertificateRef'],
    ['is of another kind', { ...CA, kind: 'Secret' }, { pem: 'one' }, 'InvalidCACertificateKind'],
    ['is of another group', { ...CA, group: 'example.test' }, { pem: 'one' }, 'InvalidCACertificateKind'],
    ['is of another namespace', { ...CA, namespace: 'vault' }, { pem: 'one' }, 'RefNotPermitted'],
  ] as const)
    test(`${mode}: an authority that ${what} refuses the listener, rather than to check nobody`, () => {
      const mesh = cluster([secureListener('a', REFS), listener('plain')], {
        default: validation([ref], mode),
      });
      mesh.objects.gateways.putAuthority('vault/ca', state);
      read(mesh, 'edge/ca', state);
      assert.deepEqual(told(mesh), ['plain nobody']);
      assert.deepEqual(faults(mesh), ['NoValidCACertificate', reason]);
      assert.match(
        mesh.problems().join(),
        /spec\.tls\.frontend\.default\.validation\.caCertificateRefs\[0\]/,
      );
    });

test('until its authority was read, and when that is gone, a listener serves nobody', () => {
  const mesh = cluster([secureListener('a', REFS)], { default: validation([CA]) });
  assert.deepEqual(told(mesh), []);
  assert.deepEqual(faults(mesh), []);
  assert.equal(mesh.objects.gateways.gateway('edge/gw')?.listeners[0]?.pending, true);
  read(mesh, 'edge/ca', { pem: 'one' });
  assert.deepEqual(told(mesh), ['a AllowValidOnly one']);
  read(mesh, 'edge/ca', { pem: 'another' });
  assert.deepEqual(told(mesh), ['a AllowValidOnly another']);
  read(mesh, 'edge/ca', { wrong: 'has no ca.crt' });
  assert.deepEqual(told(mesh), []);
  assert.deepEqual(faults(mesh), ['NoValidCACertificate', 'InvalidCACertificateRef']);
});

test('of several authorities those are used that can be', () => {
  const mesh = cluster([secureListener('a', REFS)], {
    default: validation([{ ...CA, name: 'none' }, CA, { ...CA, kind: 'Service' }]),
  });
  read(mesh, 'edge/none', { wrong: 'does not exist' });
  read(mesh, 'edge/ca', { pem: 'one' });
  assert.deepEqual(told(mesh), ['a AllowValidOnly one']);
  assert.deepEqual(faults(mesh), ['InvalidCACertificateRef', 'InvalidCACertificateKind']);
});

test('an authority of another namespace is had by a grant for ConfigMaps, and as long as that is there', () => {
  const mesh = cluster([secureListener('a', REFS)], { default: validation([{ ...CA, namespace: 'vault' }]) });
  const grant = (kind: string, name?: string) =>
    document('ReferenceGrant', 'vault/g', {
      from: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'edge' }],
      to: [{ group: '', kind, ...(name !== undefined && { name }) }],
    });
  for (const useless of [grant('Secret'), grant('ConfigMap', 'other')]) {
    mesh.put(useless);
    assert.deepEqual(wanted(mesh), []);
  }
  mesh.put(grant('ConfigMap', 'ca'));
  assert.deepEqual(wanted(mesh), ['vault/ca']);
  read(mesh, 'vault/ca', { pem: 'one' });
  assert.deepEqual(told(mesh), ['a AllowValidOnly one']);
  mesh.remove(grant('ConfigMap'));
  assert.deepEqual(told(mesh), []);
  assert.deepEqual(wanted(mesh), []);
});

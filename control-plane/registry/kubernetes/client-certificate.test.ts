import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewayResource } from '../../../protocol/resources.ts';
import { document, TestCluster } from './cluster.fixture.ts';
import { gateway, listener, OUR_CLASS } from './gateway.fixture.ts';

const PAIR = { certificate: 'the chain', key: 'the key' };

function cluster(ref: object): TestCluster {
  const tls = { backend: { clientCertificateRef: { name: 'own', ...ref } } };
  const mesh = new TestCluster(OUR_CLASS, gateway('edge/gw', [listener('http')], { tls }));
  mesh.follow('gateway edge/gw');
  return mesh;
}

const told = (mesh: TestCluster) => (mesh.get('gateway', 'edge/gw') as GatewayResource).clientCertificate; // as its kind says

test("a Gateway's certificate for backends is read by name, told to it, and changed", () => {
  const mesh = cluster({});
  assert.deepEqual([...mesh.objects.gateways.wantedSecrets()], ['edge/own']);
  assert.equal(told(mesh), undefined);
  mesh.objects.gateways.putSecret('edge/own', PAIR);
  assert.deepEqual(mesh.put(), ['gateway edge/gw']);
  assert.deepEqual(told(mesh), PAIR);
  mesh.objects.gateways.putSecret('edge/own', { ...PAIR, certificate: 'a newer one' });
  assert.deepEqual(mesh.put(), ['gateway edge/gw']);
  assert.equal(told(mesh)?.certificate, 'a newer one');
});

for (const [what, ref, reason] of [
  ['that does not exist', {}, 'InvalidClientCertificateRef'],
  ['of another kind', { kind: 'ConfigMap' }, 'InvalidClientCertificateRef'],
  ['of another group', { group: 'example.com' }, 'InvalidClientCertificateRef'],
  ['of another namespace', { namespace: 'vault' }, 'RefNotPermitted'],
] as const) {
  test(`a certificate ${what} is not told, and the problem is`, () => {
    const mesh = cluster(ref);
    mesh.objects.gateways.putSecret('edge/own', { wrong: 'does not exist' });
    mesh.objects.gateways.putSecret('vault/own', PAIR);
    mesh.put();
    assert.equal(told(mesh), undefined);
    assert.deepEqual(mesh.problems(), [`Gateway edge/gw: spec.tls.backend.clientCertificateRef ${reason}`]);
  });
}

test('a ReferenceGrant lets a Gateway use the certificate of another namespace', () => {
  const mesh = cluster({ namespace: 'vault' });
  assert.deepEqual([...mesh.objects.gateways.wantedSecrets()], []);
  mesh.put(
    document('ReferenceGrant', 'vault/grant', {
      from: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'edge' }],
      to: [{ group: '', kind: 'Secret', name: 'own' }],
    }),
  );
  assert.deepEqual([...mesh.objects.gateways.wantedSecrets()], ['vault/own']);
  mesh.objects.gateways.putSecret('vault/own', PAIR);
  mesh.put();
  assert.deepEqual(told(mesh), PAIR);
});

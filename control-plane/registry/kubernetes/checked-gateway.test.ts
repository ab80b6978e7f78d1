import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { before, test } from 'node:test';
import { type GatewayResource, mayBeTold } from '../../../protocol/resources.ts';
import { createRoot } from '../../authority/certificates.ts';
import { isServed } from './checked-listener.ts';
import { document, type RawObject, TestCluster } from './cluster.fixture.ts';
import { gateway, listener, OUR_CLASS, secureListener } from './gateway.fixture.ts';
import { SECRETS } from './listener-certificates.ts';

let good: { certificate: string; key: string };
before(async () => {
  const root = await createRoot('mesh.test');
  good = { certificate: root.certificatePem, key: root.keyPem };
});

const base64 = (text: string) => Buffer.from(text).toString('base64');
const secret = (certificate: string, key: string, type = 'kubernetes.io/tls') => ({
  type,
  data: { 'tls.crt': base64(certificate), 'tls.key': base64(key) },
});

/** `NAME reason reason`, in words that tell which listeners are served. */
function checked(...objects: RawObject[]): string[] {
  const mesh = new TestCluster(OUR_CLASS, ...objects);
  return (mesh.objects.gateways.gateway('edge/gw')?.listeners ?? []).map((one) => {
    const { refused, unresolved } = one;
    const faults = [refused, ...unresolved].flatMap((fault) => fault?.reason ?? []);
    return [one.listener.name, isServed(one) ? 'served' : 'not served', ...faults].join(' ');
  });
}

test('protocols that are not served, and ports of the proxy itself, are refused; the rest is served', () => {
  const listeners = [
    listener('http'),
    listener('tcp', { port: 81, protocol: 'TCP' }),
    listener('own', { port: 82, protocol: 'example.test/own' }),
    listener('health', { port: 4191 }),
  ];
  assert.deepEqual(checked(gateway('edge/gw', listeners)), [
    'http served',
    'tcp not served UnsupportedProtocol',
    'own not served UnsupportedProtocol',
    'health not served PortUnavailable',
  ]);
});

test('of listeners that conflict none is served, whoever was first', () => {
  const listeners = [
    listener('a', { hostname: 'a.example' }),
    listener('a-too', { hostname: 'A.example' }),
    listener('b', { hostname: 'b.example' }),
    listener('clear', { port: 443, hostname: 'c.example' }),
    listener('pass', { port: 443, protocol: 'TLS', tls: { mode: 'Passthrough' } }),
    listener('odd', { port: 80, protocol: 'UDP' }),
  ];
  assert.deepEqual(checked(gateway('edge/gw', listeners)), [
    'a not served HostnameConflict',
    'a-too not served HostnameConflict',
    'b served',
    'clear not served ProtocolConflict',
    'pass not served ProtocolConflict',
    'odd not served UnsupportedProtocol',
  ]);
});

test('TLS that is ended and TLS that is passed through share a port by their hosts', () => {
  const listeners = [
    secureListener('https', [], { hostname: 'a.example' }),
    listener('tls', { port: 443, protocol: 'TLS', hostname: 'b.example', tls: { mode: 'Passthrough' } }),
  ];
  assert.deepEqual(checked(gateway('edge/gw', listeners)), [
    'https not served InvalidCertificateRef',
    'tls served',
  ]);
});

test('kinds of routes that cannot be had are told, and those that can are taken', () => {
  const kinds = (...names: object[]) => ({ allowedRoutes: { kinds: names } });
  const listeners = [
    listener('both', kinds({ kind: 'Other' }, { kind: 'HTTPRoute' })),
    listener('none', { port: 81, ...kinds({ kind: 'TLSRoute' }) }),
    listener('group', { port: 82, ...kinds({ group: 'example.test', kind: 'HTTPRoute' }) }),
  ];
  assert.deepEqual(checked(gateway('edge/gw', listeners)), [
    'both served InvalidRouteKinds',
    'none not served InvalidRouteKinds',
    'group not served InvalidRouteKinds',
  ]);
});

test('parameters that are not understood and types of addresses that cannot be had refuse the Gateway', () => {
  const refused = (spec: object) =>
    new TestCluster(OUR_CLASS, gateway('edge/gw', [listener('a')], spec)).objects.gateways.gateway('edge/gw')
      ?.refused?.reason;
  assert.equal(refused({}), undefined);
  assert.equal(refused({ addresses: [{ type: 'IPAddress' }, { value: '192.0.2.1' }] }), undefined);
  assert.equal(refused({ addresses: [{ type: 'Hostname', value: 'a.example' }] }), 'UnsupportedAddress');
  assert.equal(refused({ infrastructure: { parametersRef: { kind: 'X' } } }), 'InvalidParameters');
});

test('a certificate is taken from the own namespace, and from another one by a grant for this Secret alone', () => {
  const refs = [{ group: '', kind: 'Secret', name: 'web', namespace: 'vault' }];
  const mesh = new TestCluster(OUR_CLASS, gateway('edge/gw', [secureListener('a', refs)]));
  const { gateways } = mesh.objects;
  const tls = () => {
    const resource = mesh.get('gateway', 'edge/gw') as GatewayResource | undefined; // what the key holds
    return resource?.listeners.map((one) => one.tls);
  };
  const grant = (from: object, to: object) =>
    document('ReferenceGrant', 'vault/g', {
      from: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'edge', ...from }],
      to: [{ group: '', kind: 'Secret', ...to }],
    });
  assert.deepEqual([...gateways.wantedSecrets()], []);
  assert.deepEqual(mesh.problems(), [
    'Gateway edge/gw: spec.listeners[0].tls.certificateRefs[0] RefNotPermitted',
  ]);
  for (const [from, to] of [
    [{ kind: 'HTTPRoute' }, {}],
    [{ namespace: 'shop' }, {}],
    [{}, { kind: 'Service' }],
    [{}, { name: 'other' }],
  ] as const) {
    mesh.put(grant(from, to));
    assert.deepEqual([...gateways.wantedSecrets()], [], JSON.stringify([from, to]));
  }
  mesh.put(grant({}, { name: 'web' }));
  assert.deepEqual([...gateways.wantedSecrets()], ['vault/web']);
  assert.deepEqual(mesh.problems(), [], 'it has not been read yet');
  gateways.putSecret('vault/web', SECRETS.read(secret(good.certificate, good.key)));
  mesh.put();
  assert.deepEqual(tls(), [{ mode: 'Terminate', certificates: [good] }]);
  mesh.remove(grant({}, {}));
  assert.deepEqual(tls(), []);
  assert.deepEqual([...gateways.wantedSecrets()], []);
});

test('an attacker who runs another workload is not told of a gateway, which has its keys', () => {
  const mesh = new TestCluster(OUR_CLASS, gateway('edge/gw', [listener('a')]));
  const resource = mesh.get('gateway', 'edge/gw');
  assert.ok(resource);
  assert.ok(mayBeTold(resource, 'edge/gw-tulle'));
  for (const peer of ['edge/default', 'shop/gw-tulle', 'edge/gw', ''])
    assert.ok(!mayBeTold(resource, peer), peer);
});

test('a Secret of another type, without a certificate, or with a key of another is told, and nothing of its content', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string; // as the format says
  const wrongs = [
    secret(good.certificate, good.key, 'Opaque'),
    secret('Hello world', 'Hello world'),
    secret(good.certificate, other),
    { type: 'kubernetes.io/tls' },
  ].map((one) => SECRETS.read(one));
  assert.deepEqual(wrongs, [
    { wrong: 'is not of type kubernetes.io/tls' },
    { wrong: 'has no certificate and key in PEM in tls.crt and tls.key' },
    { wrong: 'has a key of another certificate' },
    { wrong: 'has no certificate and key in PEM in tls.crt and tls.key' },
  ]);
  assert.ok(new X509Certificate(good.certificate));
  assert.deepEqual(SECRETS.read(secret(good.certificate, good.key)), good);
});

test('one certificate that cannot be used leaves the others in use', () => {
  const refs = [{ name: 'none' }, { name: 'web' }, { kind: 'ConfigMap', name: 'x' }];
  const mesh = new TestCluster(OUR_CLASS, gateway('edge/gw', [secureListener('a', refs)]));
  mesh.objects.gateways.putSecret('edge/none', { wrong: 'does not exist' });
  mesh.objects.gateways.putSecret('edge/web', good);
  mesh.put();
  const [one] = mesh.objects.gateways.gateway('edge/gw')?.listeners ?? [];
  assert.ok(one);
  assert.ok(isServed(one));
  assert.deepEqual(
    one.unresolved.map(({ problem }) => `${problem.field} ${problem.message}`),
    [
      'spec.listeners[0].tls.certificateRefs[0] does not exist',
      'spec.listeners[0].tls.certificateRefs[2] is no Secret',
    ],
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRoot } from '../../authority/certificates.ts';
import { AUTHORITIES } from './backend-authorities.ts';
import { document, endpoint, pod, type RawObject, service, slice, TestCluster } from './cluster.fixture.ts';

const PEM = 'the authority';
const READ = { pem: PEM };
const CA = { group: '', kind: 'ConfigMap', name: 'ca' };
const TWO_PORTS = {
  ports: [
    { name: 'https-1', port: 443, targetPort: 8443 },
    { name: 'https-2', port: 8443, targetPort: 8443 },
  ],
};

function policy(key: string, hostname: string, { target = {}, validation = {}, meta = {} } = {}): RawObject {
  return document(
    'BackendTLSPolicy',
    key,
    {
      targetRefs: [{ group: '', kind: 'Service', name: 'web', ...target }],
      validation: { hostname, caCertificateRefs: [CA], ...validation },
    },
    meta,
  );
}

/** A cluster with the Service shop/web and the ConfigMap shop/ca. */
function cluster(...policies: RawObject[]): TestCluster {
  const mesh = new TestCluster(service('shop/web', TWO_PORTS), ...policies);
  mesh.objects.backendTls.putAuthority('shop/ca', READ);
  mesh.put();
  mesh.follow('service shop/web:443', 'service shop/web:8443');
  return mesh;
}

const serverName = (mesh: TestCluster, port: number) => mesh.service(`shop/web:${port}`)?.tls?.serverName;

test('a policy for a Service says how all of its ports are called', () => {
  const mesh = cluster(policy('shop/tls', 'Web.Example'));
  assert.deepEqual(mesh.service('shop/web:443')?.tls, {
    policy: 'shop/tls',
    serverName: 'web.example',
    authorities: [PEM],
    names: [],
  });
  assert.equal(serverName(mesh, 8443), 'web.example');
  assert.deepEqual(mesh.remove(policy('shop/tls', '')), ['service shop/web:443', 'service shop/web:8443']);
  assert.equal(mesh.service('shop/web:443')?.tls, undefined);
});

test('a policy for a port goes before one for the Service', () => {
  const mesh = cluster(
    policy('shop/whole', 'whole.example'),
    policy('shop/port', 'port.example', { target: { sectionName: 'https-1' } }),
  );
  assert.deepEqual([serverName(mesh, 443), serverName(mesh, 8443)], ['port.example', 'whole.example']);
  assert.deepEqual(mesh.objects.backendTls.conflicts('shop/whole'), []);
});

test('of two policies for the same the older holds, of the same age the one whose name comes first', () => {
  const young = { meta: { creationTimestamp: '2026-02-01T00:00:00Z' } };
  const mesh = cluster(policy('shop/a', 'young.example', young), policy('shop/b', 'old.example'));
  assert.equal(serverName(mesh, 443), 'old.example');
  assert.deepEqual(
    mesh.objects.backendTls.conflicts('shop/a').map(({ winner }) => winner),
    ['shop/b'],
  );
  mesh.put(policy('shop/a', 'first.example'));
  assert.equal(serverName(mesh, 443), 'first.example');
});

test('a policy of another namespace says nothing of a Service', () => {
  assert.equal(serverName(cluster(policy('thief/tls', 'thief.example')), 443), undefined);
});

for (const [what, state, validation, invalid] of [
  ['that does not exist', { wrong: 'does not exist' }, {}, 'ConfigMap shop/ca does not exist'],
  ['that has not been read', undefined, {}, 'its ConfigMap has not been read yet'],
  ['of another kind', READ, { caCertificateRefs: [{ ...CA, kind: 'Secret' }] }, 'Secret ca is no ConfigMap'],
  [
    'of a set of authorities that is not known',
    READ,
    { caCertificateRefs: undefined, wellKnownCACertificates: 'Mine' },
    '"Mine" is not a set of authorities',
  ],
] as const) {
  test(`an authority ${what}: nothing is sent, rather than in plain text`, () => {
    const mesh = new TestCluster(
      service('shop/web', TWO_PORTS),
      policy('shop/tls', 'web.example', { validation }),
    );
    mesh.objects.backendTls.putAuthority('shop/ca', state);
    mesh.put();
    assert.match(mesh.service('shop/web:443')?.tls?.invalid ?? 'none', new RegExp(`${invalid}$`));
  });
}

test('one authority of two is enough', () => {
  const refs = [{ ...CA, name: 'none' }, CA];
  const mesh = cluster(policy('shop/tls', 'web.example', { validation: { caCertificateRefs: refs } }));
  mesh.objects.backendTls.putAuthority('shop/none', { wrong: 'does not exist' });
  mesh.put();
  const tls = mesh.service('shop/web:443')?.tls;
  assert.deepEqual([tls?.authorities, tls?.invalid], [[PEM], undefined]);
  assert.deepEqual(mesh.problems(), [
    'BackendTLSPolicy shop/tls: spec.validation.caCertificateRefs[0] InvalidCACertificateRef',
  ]);
});

test('until a ConfigMap that is named now was read, what the policy said before holds', () => {
  const mesh = cluster(policy('shop/tls', 'web.example'));
  const other = { validation: { caCertificateRefs: [{ ...CA, name: 'other' }] } };
  mesh.put(policy('shop/tls', 'web.example', other));
  assert.deepEqual(mesh.service('shop/web:443')?.tls?.authorities, [PEM]);
  assert.deepEqual([...mesh.objects.backendTls.wantedAuthorities()], ['shop/other']);
  mesh.objects.backendTls.putAuthority('shop/other', { pem: 'another' });
  mesh.put();
  assert.deepEqual(mesh.service('shop/web:443')?.tls?.authorities, ['another']);
});

test('public authorities, names, and a port that is declared as https', () => {
  const validation = {
    caCertificateRefs: undefined,
    wellKnownCACertificates: 'System',
    subjectAltNames: [
      { type: 'URI', uri: 'spiffe://a/b' },
      { type: 'Hostname', hostname: 'c.example' },
      { type: 'Email' },
    ],
  };
  const mesh = cluster(policy('shop/tls', 'web.example', { validation }));
  const resource = mesh.service('shop/web:443');
  assert.equal(resource?.tls?.authorities, 'system');
  assert.deepEqual(resource?.tls?.names, [
    { type: 'URI', value: 'spiffe://a/b' },
    { type: 'Hostname', value: 'c.example' },
    { type: 'Hostname', value: '' },
  ]);
  assert.equal(resource?.service.protocol, 'detect');
});

for (const [what, annotations, identity] of [
  ['are called by TLS from end to end', {}, undefined],
  ['that take mesh mTLS only are called by it', { 'tulle.dev/mtls': 'strict' }, 'shop/web'],
  ['that must know who calls are called by mesh mTLS', { 'tulle.dev/allow': 'front' }, 'shop/web'],
] as const) {
  test(`applications behind sidecars ${what}`, () => {
    const mesh = cluster(policy('shop/tls', 'web.example'));
    mesh.put(
      service('shop/web', TWO_PORTS, { annotations }),
      pod('shop/web-1', '10.1.0.1', 'web'),
      slice('shop/web-a', 'web', [endpoint('10.1.0.1', 'web-1')], {
        ports: [{ name: 'https-1', port: 8443, protocol: 'TCP' }],
      }),
    );
    const endpoints = mesh.service('shop/web:443')?.service.endpoints;
    assert.deepEqual(
      endpoints?.map((one) => [one.address, one.identity]),
      [['10.1.0.1:8443', identity]],
    );
  });
}

test('what ConfigMaps hold: certificates in ca.crt, all of them good', async () => {
  const { certificatePem: bundlePem } = await createRoot('mesh.local');
  const read = (data: object) => AUTHORITIES.read({ data });
  assert.deepEqual(read({ 'ca.crt': `# ours\n${bundlePem}\n${bundlePem}` }), {
    pem: `${bundlePem.trim()}\n${bundlePem.trim()}\n`,
  });
  assert.deepEqual(read({}), { wrong: 'has no ca.crt' });
  assert.deepEqual(read({ 'ca.crt': '' }), { wrong: 'has no certificate in PEM in ca.crt' });
  const broken = `${bundlePem}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----`;
  assert.deepEqual(read({ 'ca.crt': broken }), {
    wrong: 'has a certificate in ca.crt that cannot be read, number 2',
  });
});

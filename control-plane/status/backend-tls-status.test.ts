import assert from 'node:assert/strict';
import { test } from 'node:test';
import { document, type RawObject, service, TestCluster } from '../registry/kubernetes/cluster.fixture.ts';
import { gateway, listener, OUR_CLASS, routeTo } from '../registry/kubernetes/gateway.fixture.ts';
import { backendTlsStatus } from './backend-tls-status.ts';
import type { Condition } from './conditions.ts';

const CA = { group: '', kind: 'ConfigMap', name: 'ca' };

function policy(name: string, target: object = {}, refs: readonly object[] = [CA]): RawObject {
  return document('BackendTLSPolicy', `edge/${name}`, {
    targetRefs: [{ group: '', kind: 'Service', name: 'web', ...target }],
    validation: { hostname: 'web.example', caCertificateRefs: refs },
  });
}

/** A Gateway with a route to edge/web. */
function cluster(...more: RawObject[]): TestCluster {
  const mesh = new TestCluster(
    OUR_CLASS,
    gateway('edge/gw', [listener('http')]),
    service('edge/web'),
    routeTo('edge/r'),
    ...more,
  );
  mesh.objects.backendTls.putAuthority('edge/ca', { pem: 'x' });
  mesh.put();
  return mesh;
}

interface Ancestor {
  readonly ancestorRef: { readonly kind: string; readonly namespace: string; readonly name: string };
  readonly controllerName: string;
  readonly conditions: readonly (Condition & { readonly lastTransitionTime: string })[];
}

function ancestorsOf(mesh: TestCluster, name: string, status?: unknown): readonly Ancestor[] {
  const seen = mesh.objects.seen.get('BackendTLSPolicy', `edge/${name}`);
  assert.ok(seen);
  const written = backendTlsStatus({ ...seen, status }, mesh.objects, new Date(0));
  return (written as { ancestors?: readonly Ancestor[] } | undefined)?.ancestors ?? []; // what is written
}

/** `Type=Status Reason`, of the first ancestor. */
function words(mesh: TestCluster, name: string): string[] {
  const conditions = ancestorsOf(mesh, name)[0]?.conditions ?? [];
  return conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
}

test('each Gateway that calls the Service is told as an ancestor', () => {
  const mesh = cluster(policy('tls'), gateway('edge/unused', [listener('http')]));
  const [ancestor, ...more] = ancestorsOf(mesh, 'tls');
  assert.deepEqual(ancestor?.ancestorRef, {
    group: 'gateway.networking.k8s.io',
    kind: 'Gateway',
    namespace: 'edge',
    name: 'gw',
  });
  assert.equal(ancestor.controllerName, 'tulle.dev/gateway-controller');
  assert.equal(more.length, 0);
  assert.deepEqual(words(mesh, 'tls'), ['Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs']);
});

test('where no Gateway calls it, its Service is the ancestor; what other controllers wrote stays', () => {
  const mesh = cluster(service('edge/other'), policy('tls', { name: 'other' }));
  const theirs = { ancestorRef: { name: 'x' }, controllerName: 'example.com/other', conditions: [] };
  const ancestors = ancestorsOf(mesh, 'tls', { ancestors: [theirs] });
  assert.deepEqual(ancestors[0], theirs);
  assert.deepEqual(ancestors[1]?.ancestorRef, {
    group: '',
    kind: 'Service',
    namespace: 'edge',
    name: 'other',
  });
});

test('the younger of two policies for the same is told that it conflicts', () => {
  const mesh = cluster(policy('a'), policy('b'), policy('port', { sectionName: 'http' }));
  assert.equal(words(mesh, 'a')[0], 'Accepted=True Accepted');
  assert.equal(words(mesh, 'b')[0], 'Accepted=False Conflicted');
  assert.equal(words(mesh, 'port')[0], 'Accepted=True Accepted');
});

test('what cannot be used says why', () => {
  const kind = [{ ...CA, kind: 'Secret' }];
  const mesh = cluster(
    policy('none', {}, [{ ...CA, name: 'none' }]),
    policy('kind', { sectionName: 'http' }, kind),
    policy('target', { name: 'nobody' }),
  );
  assert.deepEqual(ancestorsOf(mesh, 'none'), [], 'it was not read yet');
  mesh.objects.backendTls.putAuthority('edge/none', { wrong: 'does not exist' });
  assert.deepEqual(words(mesh, 'none'), [
    'Accepted=False NoValidCACertificate',
    'ResolvedRefs=False InvalidCACertificateRef',
  ]);
  assert.deepEqual(words(mesh, 'kind'), [
    'Accepted=False NoValidCACertificate',
    'ResolvedRefs=False InvalidKind',
  ]);
  assert.equal(words(mesh, 'target')[0], 'Accepted=False TargetNotFound');
  assert.match(
    ancestorsOf(mesh, 'none')[0]?.conditions[0]?.message ?? '',
    /^spec\.validation\.caCertificateRefs\[0\]: ConfigMap edge\/none does not exist: calls to its Services fail$/,
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SETTINGS } from './default-settings.ts';
import { parseMesh } from './mesh-file.ts';
import { mayBeTold, resourcesOf, versioned } from './resources.ts';

const SERVICES = `
services:
  - { name: orders, namespace: shop, port: 80, endpoints: ["a:1", "b:2"] }
  - { name: web, namespace: shop, port: 80 }
`;
const ROUTED = `${SERVICES}
routes:
  - apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: { name: canary, namespace: shop }
    spec:
      parentRefs: [{ kind: Service, name: orders }, { kind: Gateway, name: edge }]
      rules: [{ backendRefs: [{ name: web }] }]
gateway:
  - apiVersion: gateway.networking.k8s.io/v1
    kind: Gateway
    metadata: { name: edge, namespace: shop }
    spec: { listeners: [{ name: http, port: 80, protocol: HTTP }] }
policies:
  - apiVersion: tulle.dev/v1alpha1
    kind: AccessPolicy
    metadata: { name: only-web, namespace: shop }
    spec: { targetRef: { kind: Service, name: orders }, clients: [web] }
`;

function resources(text: string) {
  const { mesh, problems } = parseMesh(text, 'm.yaml');
  return resourcesOf(mesh ?? assert.fail(JSON.stringify(problems)));
}

const versions = (text: string) =>
  Object.fromEntries([...resources(text).services].map(([key, { version }]) => [key, version]));

test('a service has the routes and the policies that are about it, and no others', () => {
  const { services, gateways, trustDomain } = resources(ROUTED);
  assert.equal(trustDomain, 'mesh.local');
  assert.deepEqual([...services.keys()], ['shop/orders', 'shop/web']);
  const [orders, web] = services.values();
  assert.equal(orders?.kind, 'service');
  assert.equal(orders?.key, 'shop/orders');
  assert.deepEqual(
    orders?.routes.map(({ name }) => name),
    ['shop/canary'],
  );
  assert.deepEqual(
    orders?.access.map(({ metadata }) => metadata.name),
    ['only-web'],
  );
  assert.deepEqual([web?.routes, web?.access], [[], []]);
  const edge = gateways.get('shop/edge');
  assert.deepEqual(edge?.listeners, [{ name: 'http', port: 80, protocol: 'HTTP' }]);
  assert.deepEqual(
    edge?.routes.map(({ name }) => name),
    ['shop/canary'],
  );
});

test('a policy about a service of the same name in another namespace does not come along', () => {
  const other = ROUTED.replace('name: only-web, namespace: shop', 'name: only-web, namespace: evil').replace(
    'services:',
    'services:\n  - { name: orders, namespace: evil, port: 80 }',
  );
  const { services } = resources(other);
  assert.deepEqual(services.get('shop/orders')?.access, []);
  assert.equal(services.get('evil/orders')?.access.length, 1);
});

test('equal content has equal versions, whoever read it and however it is written', () => {
  assert.deepEqual(versions(SERVICES), versions(SERVICES));
  assert.deepEqual(
    versions(SERVICES),
    versions(`# a comment\nquotas: { store: memory }${SERVICES.replaceAll('"', "'")}`),
  );
  for (const version of Object.values(versions(SERVICES))) assert.match(version, /^[0-9a-f]{16}$/);
});

test('each change of a service changes its version, and that of no other', () => {
  const before = versions(SERVICES);
  const changes = [
    SERVICES.replace('"b:2"', '"b:3"'),
    SERVICES.replace(', "b:2"', ''),
    SERVICES.replace('"a:1", "b:2"', '"b:2", "a:1"'),
    SERVICES.replace('"b:2"', '{ address: "b:2", ready: false }'),
    SERVICES.replace('"b:2"', '{ address: "b:2", weight: 2 }'),
    SERVICES.replace('port: 80, endpoints', 'port: 81, endpoints'),
    SERVICES.replace('port: 80, endpoints', 'port: 80, serviceAccount: o, endpoints'),
    SERVICES.replace('"b:2"]', '"b:2"], annotations: { tulle.dev/timeout: 1s }'),
  ];
  const seen = new Set([before['shop/orders']]);
  for (const text of changes) {
    const after = versions(text);
    seen.add(after['shop/orders']);
    assert.equal(after['shop/web'], before['shop/web'], text);
  }
  assert.equal(seen.size, changes.length + 1);
});

test('a changed route changes its parents and not its backends', () => {
  const [one, other] = [
    resources(ROUTED),
    resources(ROUTED.replace('{ name: web }] }', '{ name: orders }] }')),
  ];
  assert.notEqual(one.services.get('shop/orders')?.version, other.services.get('shop/orders')?.version);
  assert.notEqual(one.gateways.get('shop/edge')?.version, other.gateways.get('shop/edge')?.version);
  assert.equal(one.services.get('shop/web')?.version, other.services.get('shop/web')?.version);
});

test('a changed policy changes the version of its target', () => {
  const one = versions(ROUTED);
  const other = versions(ROUTED.replace('clients: [web]', 'clients: [orders]'));
  assert.notEqual(one['shop/orders'], other['shop/orders']);
  assert.equal(one['shop/web'], other['shop/web']);
});

test('an attacker who asks for the policy of a pod that is not his is not told', () => {
  const settings = DEFAULT_SETTINGS;
  const workload = versioned({
    kind: 'workload' as const,
    key: 'shop/orders-7d',
    identity: 'shop/orders',
    terminating: false,
    ports: [],
    otherPorts: settings,
  });
  assert.equal(mayBeTold(workload, 'shop/orders'), true);
  assert.equal(mayBeTold(workload, 'shop/web'), false);
});

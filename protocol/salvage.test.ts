import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMesh } from './mesh-file.ts';
import { salvage } from './salvage.ts';

test('entries keep their places, and what cannot be read leaves an empty one', () => {
  const { services, routes } = salvage({
    services: [{ name: 'a', port: 'x' }, 7, { name: 'B' }, { name: 'c', port: 80 }],
    routes: [{ kind: 'HTTPRoute' }, 'text', {}],
  });
  assert.deepEqual(
    services.map((service) => service?.name),
    ['a', undefined, undefined, 'c'],
  );
  assert.deepEqual(
    routes.map((route) => route?.kind),
    ['HTTPRoute', undefined, undefined],
  );
});

test('of a value that is no mesh at all, nothing is left', () => {
  for (const value of [null, 'text', 7, [], { services: 'a', routes: {} }]) {
    assert.deepEqual(salvage(value), { services: [], routes: [], policies: [], gateway: [] });
  }
});

test('a wrong port hides no other mistake, and makes no service unknown that is there', () => {
  const text = `
services:
  - { name: orders, port: http, annotations: { tulle.dev/timeout: soon } }
  - { name: web, port: 80 }
routes:
  - apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: { name: r }
    spec:
      parentRefs: [{ kind: Service, name: web }]
      rules: [{ backendRefs: [{ name: orders }, { name: orderz }] }]
`;
  const { mesh, problems } = parseMesh(text, 'm.yaml');
  assert.equal(mesh, undefined);
  assert.deepEqual(
    problems.map(({ field }) => field),
    [
      'services[0].port',
      'services[0].annotations.tulle.dev/timeout',
      'routes[0].spec.rules[0].backendRefs[1].name',
    ],
  );
});

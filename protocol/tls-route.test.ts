import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalTlsRoute, tlsRouteSchema } from './tls-route.ts';

const tlsRoute = (spec: object, more: object = {}) => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'TLSRoute',
  metadata: { name: 'pass', namespace: 'shop' },
  spec: {
    parentRefs: [{ name: 'edge' }],
    hostnames: ['DB.shop.test'],
    rules: [{ backendRefs: [{ name: 'db', port: 5432 }] }],
    ...spec,
  },
  ...more,
});

test('a TLSRoute becomes a route that matches all that its host names let through', () => {
  const rules = [
    {
      backendRefs: [
        { name: 'db', weight: 9 },
        { name: 'next', namespace: 'lab' },
      ],
    },
  ];
  assert.deepEqual(normalTlsRoute(tlsRouteSchema.parse(tlsRoute({ rules }))), {
    name: 'shop/pass',
    kind: 'TLSRoute',
    parents: [{ kind: 'Gateway', key: 'shop/edge' }],
    hostnames: ['db.shop.test'],
    rules: [
      {
        matches: [],
        backends: [
          { service: 'shop/db', weight: 9 },
          { service: 'lab/next', weight: 1 },
        ],
      },
    ],
  });
});

test('a TLSRoute without names, backends or a Gateway is refused, and so is what cannot be looked at in TLS', () => {
  assert.equal(tlsRouteSchema.safeParse(tlsRoute({})).success, true);
  const backendRefs = [{ name: 'db' }];
  for (const spec of [
    { hostnames: [] },
    { hostnames: undefined },
    { rules: [] },
    { rules: [{ backendRefs: [] }] },
    { rules: [{ backendRefs }, { backendRefs }] },
    { rules: [{ backendRefs, matches: [] }] },
    { rules: [{ backendRefs, filters: [] }] },
    { parentRefs: [] },
    { parentRefs: [{ kind: 'Service', name: 'db' }] },
  ])
    assert.equal(tlsRouteSchema.safeParse(tlsRoute(spec)).success, false, JSON.stringify(spec));
  assert.equal(tlsRouteSchema.safeParse(tlsRoute({}, { apiVersion: 'v1' })).success, false);
});

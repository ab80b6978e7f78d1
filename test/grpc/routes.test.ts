import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Client, status } from '@grpc/grpc-js';
import { type MeshPair, meshPair } from '../fixture/mesh-pair.ts';
import { metadataOf, unary, withClient } from './calls.ts';
import { answerOk, rawGrpcServer } from './raw-server.ts';
import { TEST_SERVICE, UNIMPLEMENTED_SERVICE } from './services.ts';

const LIMIT = { timeout: 30_000 };
const NAMES = ['app', 'both', 'service', 'method', 'header'] as const;

/** A server that says its name in every answer. */
function named(context: TestContext, name: string): Promise<string> {
  return rawGrpcServer(context, (stream) => answerOk(stream, { 'x-server': name }));
}

/** `app` has a route by service and method, by each of them and by header; the rest is its own. */
async function routedMesh(context: TestContext): Promise<MeshPair> {
  const addresses = new Map<string, string>();
  for (const name of NAMES) addresses.set(name, await named(context, name));
  const route = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'GRPCRoute',
    metadata: { name: 'app', namespace: 'shop' },
    spec: {
      parentRefs: [{ kind: 'Service', name: 'app' }],
      rules: [
        { backendRefs: [{ name: 'app' }] },
        {
          matches: [{ headers: [{ name: 'x-canary', value: 'yes' }] }],
          backendRefs: [{ name: 'header' }],
        },
        {
          matches: [{ method: { method: 'UnaryCall' } }],
          backendRefs: [{ name: 'method' }],
        },
        {
          matches: [{ method: { service: 'grpc.testing.UnimplementedService' } }],
          backendRefs: [{ name: 'service' }],
        },
        {
          matches: [{ method: { service: 'grpc.testing.TestService', method: 'EmptyCall' } }],
          backendRefs: [{ name: 'both' }],
        },
      ],
    },
  };
  return meshPair(context, {
    name: 'app',
    application: addresses.get('app') ?? '',
    protocol: 'grpc',
    routes: [route],
    services: NAMES.slice(1).map((name) => ({
      name,
      namespace: 'shop',
      port: 80,
      protocol: 'grpc',
      endpoints: [addresses.get(name)],
    })),
  });
}

async function serverOf(call: ReturnType<typeof unary>): Promise<string> {
  const { code, details, headers } = await call;
  assert.equal(code, status.OK, details);
  return String(headers.get('x-server')[0]);
}

test(
  'a GRPCRoute chooses by service, by method and by header in this order, within one connection',
  LIMIT,
  async (context) => {
    const mesh = await routedMesh(context);
    await withClient({ address: mesh.outbound, authority: 'app.shop' }, async (client: Client) => {
      const canary = metadataOf({ 'x-canary': 'yes' });
      assert.equal(await serverOf(unary(client, TEST_SERVICE.EmptyCall, {})), 'both');
      assert.equal(await serverOf(unary(client, UNIMPLEMENTED_SERVICE.UnimplementedCall, {})), 'service');
      assert.equal(await serverOf(unary(client, TEST_SERVICE.UnaryCall, {})), 'method');
      assert.equal(await serverOf(unary(client, TEST_SERVICE.UnimplementedCall, {}, canary)), 'header');
      assert.equal(await serverOf(unary(client, TEST_SERVICE.UnimplementedCall, {})), 'app');
      // Characters of the service, then of the method come before any header (GRPCRoute, Gateway API).
      assert.equal(await serverOf(unary(client, TEST_SERVICE.EmptyCall, {}, canary)), 'both');
      assert.equal(await serverOf(unary(client, TEST_SERVICE.UnaryCall, {}, canary)), 'method');
    });
  },
);

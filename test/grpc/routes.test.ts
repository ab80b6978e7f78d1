import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Client, status } from '@grpc/grpc-js';
import { type MeshPair, meshPair } from '../fixture/mesh-pair.ts';
import { metadataOf, unary, withClient } from './calls.ts';
import { answerOk, rawGrpcServer } from './raw-server.ts';
import { TEST_SERVICE, UNIMPLEMENTED_SERVICE } from './services.ts';

const LIMIT = { timeout: 30_000 };
const NAMES = ['app', 'method', 'service', 'header'] as const;

/** A server that says its name in every answer. */
function named(context: TestContext, name: string): Promise<string> {
  return rawGrpcServer(context, (stream) => answerOk(stream, { 'x-server': name }));
}

/** `app` has a route by method, by service and by header; the rest is its own. */
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
        {
          matches: [{ headers: [{ name: 'x-canary', value: 'yes' }] }],
          backendRefs: [{ name: 'header' }],
        },
        {
          matches: [{ method: { service: 'grpc.testing.TestService', method: 'EmptyCall' } }],
          backendRefs: [{ name: 'method' }],
        },
        {
          matches: [{ method: { service: 'grpc.testing.UnimplementedService' } }],
          backendRefs: [{ name: 'service' }],
        },
        { backendRefs: [{ name: 'app' }] },
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
  'a GRPCRoute chooses by method, by service and by header, within one connection',
  LIMIT,
  async (context) => {
    const mesh = await routedMesh(context);
    await withClient({ address: mesh.outbound, authority: 'app.shop' }, async (client: Client) => {
      assert.equal(await serverOf(unary(client, TEST_SERVICE.EmptyCall, {})), 'method');
      assert.equal(await serverOf(unary(client, UNIMPLEMENTED_SERVICE.UnimplementedCall, {})), 'service');
      assert.equal(await serverOf(unary(client, TEST_SERVICE.UnaryCall, {})), 'app');
      const canary = metadataOf({ 'x-canary': 'yes' });
      assert.equal(await serverOf(unary(client, TEST_SERVICE.EmptyCall, {}, canary)), 'header');
    });
  },
);

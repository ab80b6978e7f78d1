import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { meshPair } from '../fixture/mesh-pair.ts';
import { until } from '../fixture/wait.ts';
import { ask, openSession } from '../http2/client.ts';
import { unary, withClient } from './calls.ts';
import { answerOk, rawGrpcServer } from './raw-server.ts';
import { TEST_SERVICE } from './services.ts';

const LIMIT = { timeout: 30_000 };

/** Statuses by https://grpc.github.io/grpc/core/md_doc_statuscodes.html: what a caller may do about it. */
const UNREACHABLE = [
  ['nobody.shop', 'no-service', status.UNIMPLEMENTED],
  ['away.shop', 'connect-failed', status.UNAVAILABLE],
  ['empty.shop', 'no-endpoint', status.UNAVAILABLE],
  ['impostor.shop', 'upstream-tls', status.UNAVAILABLE],
  ['unmatched.shop', 'no-route', status.UNIMPLEMENTED],
] as const;

function service(name: string, endpoints: readonly (string | object)[] = []) {
  return { name, namespace: 'shop', port: 80, protocol: 'grpc', endpoints };
}

/** A route that matches no call of this test. */
const UNMATCHED_ROUTE = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'GRPCRoute',
  metadata: { name: 'unmatched', namespace: 'shop' },
  spec: {
    parentRefs: [{ kind: 'Service', name: 'unmatched' }],
    rules: [{ matches: [{ method: { service: 'some.Other' } }], backendRefs: [{ name: 'unmatched' }] }],
  },
};

test(
  'a call that cannot be made has a gRPC status, the reason in its trailers and the words as message',
  LIMIT,
  async (context) => {
    const application = await rawGrpcServer(context, (stream) => answerOk(stream));
    const mesh = await meshPair(context, {
      name: 'app',
      application,
      protocol: 'grpc',
      routes: [UNMATCHED_ROUTE],
      services: [
        service('away', ['127.0.0.1:1']),
        service('empty'),
        service('impostor', [{ address: application, identity: 'shop/impostor' }]),
        service('unmatched', [application]),
      ],
    });
    for (const [authority, reason, code] of UNREACHABLE) {
      await context.test(reason, LIMIT, () =>
        withClient({ address: mesh.outbound, authority }, async (client) => {
          const outcome = await unary(client, TEST_SERVICE.EmptyCall, {});
          assert.equal(outcome.code, code, outcome.details);
          assert.deepEqual(outcome.trailers.get('tulle-reason'), [reason]);
          assert.ok(outcome.details.length > 10, outcome.details);
        }),
      );
    }
  },
);

test('on the wire it is a head alone with status 200, whatever HTTP would say', LIMIT, async (context) => {
  const application = await rawGrpcServer(context, (stream) => answerOk(stream));
  const mesh = await meshPair(context, {
    name: 'app',
    application,
    protocol: 'grpc',
    services: [service('empty')],
  });
  const session = await openSession(context, mesh.outbound);
  const call = {
    ':method': 'POST',
    ':path': '/a.B/C',
    ':authority': 'empty.shop',
    'content-type': 'application/grpc+proto',
    te: 'trailers',
  };
  const { status: http, headers, body, trailers } = await ask(session, call, Buffer.alloc(5));
  assert.deepEqual([http, headers['grpc-status'], headers['content-type']], [200, '14', 'application/grpc']);
  assert.match(String(headers['grpc-message']), /^[\x20-\x7e]+$/, 'percent-encoded where it must be');
  assert.equal(body.length, 0);
  assert.deepEqual(Object.keys(trailers), []);
  // The same path without gRPC is answered as HTTP.
  const plain = await ask(session, { ':authority': 'empty.shop' });
  assert.deepEqual([plain.status, plain.headers['content-type']], [503, 'application/problem+json']);
});

for (const [annotations, reason] of [
  [{ 'tulle.dev/allow': 'somebody-else' }, 'not-allowed'],
  [{ 'tulle.dev/mtls': 'strict', 'tulle.dev/allow': 'payments/checkout' }, 'not-allowed'],
] as const) {
  test(
    `a caller that may not call gets PERMISSION_DENIED: ${JSON.stringify(annotations)}`,
    LIMIT,
    async (context) => {
      let calls = 0;
      const application = await rawGrpcServer(context, (stream) => {
        calls++;
        answerOk(stream);
      });
      const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc', annotations });
      await withClient({ address: mesh.outbound, authority: 'app.shop' }, async (client) => {
        const { code, details, trailers } = await unary(client, TEST_SERVICE.EmptyCall, {});
        assert.equal(code, status.PERMISSION_DENIED, details);
        assert.match(details, /shop\/web may not call shop\/app/);
        assert.deepEqual(trailers.get('tulle-reason'), [reason]);
      });
      assert.equal(calls, 0);
    },
  );
}

test('a caller in plain text of a strict service gets PERMISSION_DENIED', LIMIT, async (context) => {
  const application = await rawGrpcServer(context, (stream) => answerOk(stream));
  const annotations = { 'tulle.dev/mtls': 'strict' };
  const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc', annotations });
  await withClient({ address: mesh.inbound, authority: 'app.shop' }, async (client) => {
    const { code, trailers } = await unary(client, TEST_SERVICE.EmptyCall, {});
    assert.equal(code, status.PERMISSION_DENIED);
    assert.deepEqual(trailers.get('tulle-reason'), ['mtls-required']);
  });
});

test(
  'a full pool is RESOURCE_EXHAUSTED, and the next call is served when there is room',
  LIMIT,
  async (context) => {
    const held: (() => void)[] = [];
    const application = await rawGrpcServer(context, (stream) => {
      held.push(() => answerOk(stream));
    });
    const annotations = { 'tulle.dev/limits': 'requests 1' };
    const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc', annotations });
    await withClient({ address: mesh.outbound, authority: 'app.shop' }, async (client) => {
      const first = unary(client, TEST_SERVICE.EmptyCall, {});
      await until('the first call at the server', () => held.length === 1);
      const { code, details, trailers } = await unary(client, TEST_SERVICE.EmptyCall, {});
      assert.equal(code, status.RESOURCE_EXHAUSTED, details);
      assert.match(details, /requests 1/);
      assert.deepEqual(trailers.get('tulle-reason'), ['pool-full']);
      held[0]?.();
      assert.equal((await first).code, status.OK);
      const next = unary(client, TEST_SERVICE.EmptyCall, {});
      await until('the next call at the server', () => held.length === 2);
      held[1]?.();
      assert.equal((await next).code, status.OK);
    });
  },
);

test('a server that vanishes in the middle of a call is UNAVAILABLE', LIMIT, async (context) => {
  const application = await rawGrpcServer(context, (stream) => stream.session?.destroy());
  const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc' });
  await withClient({ address: mesh.outbound, authority: 'app.shop' }, async (client) => {
    const { code, details, trailers } = await unary(client, TEST_SERVICE.EmptyCall, {});
    assert.equal(code, status.UNAVAILABLE, details);
    assert.deepEqual(trailers.get('tulle-reason'), ['upstream-reset']);
  });
});

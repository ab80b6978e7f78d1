import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { meshPair } from '../fixture/mesh-pair.ts';
import { until } from '../fixture/wait.ts';
import { metadataOf, unary, withClient } from './calls.ts';
import { answerOk, answerStatus, rawGrpcServer } from './raw-server.ts';
import { TEST_SERVICE } from './services.ts';

test('a gRPC call is copied to a mirror in the mesh by mTLS, message and metadata, and its failure is not told', async (context) => {
  const seen: { headers: IncomingHttpHeaders; bytes: number }[] = [];
  const copy = await rawGrpcServer(context, (stream, headers) => {
    let bytes = 0;
    stream.on('data', (data: Buffer) => {
      bytes += data.length;
    });
    stream.on('end', () => {
      seen.push({ headers, bytes });
      answerStatus(stream, status.INTERNAL, 'the copy fails');
    });
  });
  const front = await rawGrpcServer(context, (stream) => answerOk(stream));
  const mesh = await meshPair(context, {
    name: 'copy',
    application: copy,
    protocol: 'grpc',
    routes: [
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'GRPCRoute',
        metadata: { name: 'front', namespace: 'shop' },
        spec: {
          parentRefs: [{ kind: 'Service', name: 'front' }],
          rules: [
            {
              filters: [{ type: 'RequestMirror', requestMirror: { backendRef: { name: 'copy' } } }],
              backendRefs: [{ name: 'front' }],
            },
          ],
        },
      },
    ],
    services: [{ name: 'front', namespace: 'shop', port: 80, protocol: 'grpc', endpoints: [front] }],
  });
  await withClient({ address: mesh.outbound, authority: 'front.shop' }, async (client) => {
    const request = { payload: { body: Buffer.alloc(1000, 'x') } };
    const metadata = metadataOf({ 'x-tenant': 'one' });
    const { code } = await unary(client, TEST_SERVICE.UnaryCall, request, metadata);
    assert.equal(code, status.OK);
  });
  await until('the copy', () => seen.length === 1);
  const [{ headers, bytes } = { headers: {}, bytes: 0 }] = seen;
  assert.ok(bytes > 1000, `${bytes} bytes`);
  assert.equal(headers['x-tenant'], 'one');
  assert.equal(headers.te, 'trailers');
  assert.equal(headers[':authority'], 'front.shop');
  assert.match(String(headers['content-type']), /^application\/grpc/);
  const counted = async (admin: string) => (await fetch(`http://${admin}/metrics`)).text();
  await until('the counters', async () =>
    /tulle_mirror_requests_total\{[^}]*result="answered"\} 1/.test(await counted(mesh.admin)),
  );
  assert.match(await counted(mesh.inboundAdmin), /istio_requests_total\{[^}]*mutual_tls[^}]*\} 1/);
});

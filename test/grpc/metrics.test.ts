import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { meshPair } from '../fixture/mesh-pair.ts';
import { readPrometheusText } from '../fixture/prometheus-text.ts';
import { until } from '../fixture/wait.ts';
import { ask, openSession } from '../http2/client.ts';
import { duplex, metadataOf, statusOf, unary, withClient } from './calls.ts';
import { messageFrame, webCall } from './grpc-web-client.ts';
import { answerMessage, answerOk, answerStatus, rawGrpcServer } from './raw-server.ts';
import { TEST_SERVICE } from './services.ts';

const LIMIT = { timeout: 30_000 };
const { EmptyCall, UnaryCall, UnimplementedCall, FullDuplexCall } = TEST_SERVICE;

/** `istio_requests_total` to `app` as `reporter protocol response_code grpc_response_status: value`, sorted. */
async function requests(admin: string, service = 'app'): Promise<string[]> {
  const text = await (await fetch(`http://${admin}/metrics`)).text();
  const samples = readPrometheusText(text).get('istio_requests_total')?.samples ?? [];
  return samples
    .filter(({ labels }) => labels.destination_service_name === service)
    .map(({ labels, value }) => {
      const { reporter, request_protocol, response_code, grpc_response_status } = labels;
      return `${reporter} ${request_protocol} ${response_code} ${grpc_response_status}: ${value}`;
    })
    .sort();
}

test(
  'calls are counted by their gRPC status at both sidecars, whether it came alone or after messages',
  LIMIT,
  async (context) => {
    const application = await rawGrpcServer(context, (stream, headers) => {
      const { ':path': path } = headers;
      if (path === EmptyCall.path) answerOk(stream);
      else if (path === UnaryCall.path) answerStatus(stream, status.NOT_FOUND, 'no');
      else if (path === UnimplementedCall.path) answerMessage(stream, { 'grpc-status': '9' });
      else stream.respond({ ':status': 200 }, { endStream: true });
    });
    const mesh = await meshPair(context, {
      name: 'app',
      application,
      protocol: 'grpc',
      services: [{ name: 'empty', namespace: 'shop', port: 80, protocol: 'grpc', endpoints: [] }],
    });
    await withClient({ address: mesh.outbound, authority: 'app.shop' }, async (client) => {
      assert.equal((await unary(client, EmptyCall, {})).code, status.OK);
      assert.equal((await unary(client, EmptyCall, {})).code, status.OK);
      assert.equal((await unary(client, UnaryCall, {})).code, status.NOT_FOUND);
      assert.equal((await unary(client, UnimplementedCall, {})).code, status.FAILED_PRECONDITION);
    });
    // The same server without gRPC is HTTP.
    await ask(await openSession(context, mesh.outbound), { ':path': '/page' });
    const outcomes = ['grpc 200 0: 2', 'grpc 200 5: 1', 'grpc 200 9: 1', 'http 200 : 1'];
    assert.deepEqual(
      await requests(mesh.admin),
      outcomes.map((outcome) => `source ${outcome}`),
    );
    assert.deepEqual(
      await requests(mesh.inboundAdmin),
      outcomes.map((outcome) => `destination ${outcome}`),
    );
    await withClient({ address: mesh.outbound, authority: 'empty.shop' }, async (client) => {
      assert.equal((await unary(client, EmptyCall, {})).code, status.UNAVAILABLE);
    });
    assert.deepEqual(await requests(mesh.admin, 'empty'), ['source grpc 200 14: 1']);
  },
);

test('a call that its client cancels is CANCELLED, before an answer and after', LIMIT, async (context) => {
  let held = 0;
  const application = await rawGrpcServer(context, (stream, headers) => {
    held++;
    if (headers['x-answers'] === undefined) return;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(Buffer.alloc(5));
  });
  const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc' });
  await withClient({ address: mesh.outbound, authority: 'app.shop' }, async (client) => {
    const silent = duplex(client, FullDuplexCall);
    const silentEnd = statusOf(silent);
    await until('the call at the server', () => held === 1);
    silent.cancel();
    assert.equal((await silentEnd).code, status.CANCELLED);
    const answered = duplex(client, FullDuplexCall, metadataOf({ 'x-answers': 'yes' }));
    const answeredEnd = statusOf(answered);
    await new Promise((resolve) => answered.once('data', resolve));
    answered.cancel();
    assert.equal((await answeredEnd).code, status.CANCELLED);
  });
  for (const [admin, reporter] of [
    [mesh.admin, 'source'],
    [mesh.inboundAdmin, 'destination'],
  ] as const) {
    let now: string[] = [];
    await until('both calls to be counted', async () => {
      now = await requests(admin);
      return now.length === 2;
    });
    assert.deepEqual(now, [`${reporter} grpc 200 1: 1`, `${reporter} grpc 499 1: 1`]);
  }
});

test('gRPC-Web is counted as gRPC at the gateway', LIMIT, async (context) => {
  const application = await rawGrpcServer(context, (stream) => answerMessage(stream, { 'grpc-status': '5' }));
  const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc' }, { gateway: true });
  const body = messageFrame(Buffer.alloc(0));
  for (const version of ['HTTP/1.1', 'HTTP/2'] as const)
    await webCall(context, mesh.gateway, { version, form: 'text', path: EmptyCall.path, body });
  assert.deepEqual(await requests(mesh.gatewayAdmin), ['source grpc 200 5: 2']);
  assert.deepEqual(await requests(mesh.inboundAdmin), ['destination grpc 200 5: 2']);
});

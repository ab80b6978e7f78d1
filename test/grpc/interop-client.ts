import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Client, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { duplex, metadataOf, statusOf, type Target, unary, withClient } from './calls.ts';
import {
  type SimpleRequest,
  type SimpleResponse,
  type StreamingOutputCallResponse,
  TEST_SERVICE,
  UNIMPLEMENTED_SERVICE,
} from './services.ts';

const REQUEST_SIZES = [27182, 8, 1828, 45904];
const RESPONSE_SIZES = [31415, 9, 2653, 58979];
const LARGE_REQUEST = 271828;
const LARGE_RESPONSE = 314159;
const SOAK_CALLS = 10;
const PICK_FIRST_CALLS = 100;
const ECHO_INITIAL = 'x-grpc-test-echo-initial';
const ECHO_TRAILING = 'x-grpc-test-echo-trailing-bin';
const INITIAL_VALUE = 'test_initial_metadata_value';
const TRAILING_VALUE = Buffer.from([0x0a, 0x0b, 0x0a, 0x0b, 0x0a, 0x0b]);
const SPECIAL_MESSAGE = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';

/**
 * The client's side of gRPC's interoperability suite, by its description
 * (https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md). Each rejects if the case fails.
 */
export const CLIENT_CASES: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  empty_unary: (target) =>
    withClient(target, async (client) => {
      const { code, response } = await unary(client, TEST_SERVICE.EmptyCall, {});
      assert.deepEqual([code, response], [status.OK, {}]);
    }),
  large_unary: (target) => withClient(target, largeUnary),
  client_streaming: (target) => withClient(target, clientStreaming),
  server_streaming: (target) => withClient(target, serverStreaming),
  ping_pong: (target) => withClient(target, pingPong),
  empty_stream: (target) =>
    withClient(target, async (client) => {
      const call = duplex(client, TEST_SERVICE.FullDuplexCall);
      const ended = statusOf(call);
      const got = sizesOf(call);
      call.end();
      assert.equal((await ended).code, status.OK);
      assert.deepEqual(await got, []);
    }),
  timeout_on_sleeping_server: (target) =>
    withClient(target, async (client) => {
      const call = duplex(client, TEST_SERVICE.FullDuplexCall, new Metadata(), { deadline: Date.now() + 1 });
      const ended = statusOf(call);
      call.write({ payload: zeros(27182) });
      assert.equal((await ended).code, status.DEADLINE_EXCEEDED);
    }),
  cancel_after_begin: (target) => withClient(target, cancelAfterBegin),
  cancel_after_first_response: (target) =>
    withClient(target, async (client) => {
      const call = duplex(client, TEST_SERVICE.FullDuplexCall);
      const ended = statusOf(call);
      call.write({ responseParameters: [{ size: 31415 }], payload: zeros(27182) });
      const [{ payload }] = (await once(call, 'data')) as [StreamingOutputCallResponse];
      assert.equal(payload.body.length, 31415);
      call.cancel();
      assert.equal((await ended).code, status.CANCELLED);
    }),
  status_code_and_message: (target) =>
    withClient(target, async (client) => {
      const responseStatus = { code: status.UNKNOWN, message: 'test status message' };
      const outcome = await unary(client, TEST_SERVICE.UnaryCall, { responseStatus });
      assert.deepEqual([outcome.code, outcome.details], [responseStatus.code, responseStatus.message]);
      const call = duplex(client, TEST_SERVICE.FullDuplexCall);
      const ended = statusOf(call);
      call.on('data', () => assert.fail('no message was asked for'));
      call.write({ responseStatus });
      call.end();
      const { code, details } = await ended;
      assert.deepEqual([code, details], [responseStatus.code, responseStatus.message]);
    }),
  special_status_message: (target) =>
    withClient(target, async (client) => {
      const responseStatus = { code: status.UNKNOWN, message: SPECIAL_MESSAGE };
      const { code, details } = await unary(client, TEST_SERVICE.UnaryCall, { responseStatus });
      assert.deepEqual([code, details], [status.UNKNOWN, SPECIAL_MESSAGE]);
    }),
  custom_metadata: (target) => withClient(target, customMetadata),
  unimplemented_method: (target) =>
    withClient(target, async (client) => {
      assert.equal((await unary(client, TEST_SERVICE.UnimplementedCall, {})).code, status.UNIMPLEMENTED);
    }),
  unimplemented_service: (target) =>
    withClient(target, async (client) => {
      const { code } = await unary(client, UNIMPLEMENTED_SERVICE.UnimplementedCall, {});
      assert.equal(code, status.UNIMPLEMENTED);
    }),
  rpc_soak: (target) =>
    withClient(target, async (client) => {
      for (let call = 0; call < SOAK_CALLS; call++) await largeUnary(client);
    }),
  channel_soak: async (target) => {
    for (let call = 0; call < SOAK_CALLS; call++) await withClient(target, largeUnary);
  },
  pick_first_unary: (target) =>
    withClient(target, async (client) => {
      const servers = new Set<string | undefined>();
      for (let call = 0; call < PICK_FIRST_CALLS; call++) {
        const response = await answered(client, { responseSize: 1, payload: zeros(1), fillServerId: true });
        servers.add(response.serverId);
      }
      assert.equal(servers.size, 1);
      assert.notEqual([...servers][0], '', 'the server has no id');
    }),
};

async function answered(client: Client, request: SimpleRequest): Promise<SimpleResponse> {
  const { code, details, response } = await unary(client, TEST_SERVICE.UnaryCall, request);
  assert.equal(code, status.OK, details);
  return response as SimpleResponse; // OK brings one
}

async function largeUnary(client: Client): Promise<void> {
  const { payload } = await answered(client, { responseSize: LARGE_RESPONSE, payload: zeros(LARGE_REQUEST) });
  assert.equal(payload?.body.length, LARGE_RESPONSE);
}

async function clientStreaming(client: Client): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = TEST_SERVICE.StreamingInputCall;
  const answer = new Promise((resolve, reject) => {
    const call = client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      (error, response) => (error === null ? resolve(response) : reject(error)),
    );
    for (const size of REQUEST_SIZES) call.write({ payload: zeros(size) });
    call.end();
  });
  assert.deepEqual(await answer, { aggregatedPayloadSize: 74922 });
}

async function serverStreaming(client: Client): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = TEST_SERVICE.StreamingOutputCall;
  const responseParameters = RESPONSE_SIZES.map((size) => ({ size }));
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {
    responseParameters,
  });
  const ended = statusOf(call);
  assert.deepEqual(await sizesOf(call), RESPONSE_SIZES);
  assert.equal((await ended).code, status.OK);
}

async function pingPong(client: Client): Promise<void> {
  const call = duplex(client, TEST_SERVICE.FullDuplexCall);
  const ended = statusOf(call);
  for (const [index, size] of RESPONSE_SIZES.entries()) {
    call.write({ responseParameters: [{ size }], payload: zeros(REQUEST_SIZES[index] ?? 0) });
    const [{ payload }] = (await once(call, 'data')) as [StreamingOutputCallResponse];
    assert.equal(payload.body.length, size);
  }
  call.end();
  assert.equal((await ended).code, status.OK);
}

async function cancelAfterBegin(client: Client): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = TEST_SERVICE.StreamingInputCall;
  const metadata = metadataOf({ key1: 'value1', key2: 'value2' });
  const { code } = await new Promise<StatusObject>((resolve) => {
    const call = client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
      () => {}, // told by its status
    );
    call.on('status', resolve);
    call.cancel();
  });
  assert.equal(code, status.CANCELLED);
}

async function customMetadata(client: Client): Promise<void> {
  const metadata = metadataOf({ [ECHO_INITIAL]: INITIAL_VALUE, [ECHO_TRAILING]: TRAILING_VALUE });
  const request = { responseSize: 1, payload: zeros(1) };
  const { code, headers, trailers } = await unary(client, TEST_SERVICE.UnaryCall, request, metadata);
  assert.equal(code, status.OK);
  checkEcho(headers, trailers);
  const call = duplex(client, TEST_SERVICE.FullDuplexCall, metadata);
  const ended = statusOf(call);
  const began = once(call, 'metadata');
  call.write({ responseParameters: [{ size: 1 }], payload: zeros(1) });
  call.end();
  assert.deepEqual(await sizesOf(call), [1]);
  checkEcho(((await began) as [Metadata])[0], (await ended).metadata);
}

function checkEcho(headers: Metadata, trailers: Metadata): void {
  assert.deepEqual(headers.get(ECHO_INITIAL), [INITIAL_VALUE]);
  assert.deepEqual(trailers.get(ECHO_TRAILING), [TRAILING_VALUE]);
}

/** Payload sizes of all the messages that come; rejects if the call fails. */
async function sizesOf(call: AsyncIterable<StreamingOutputCallResponse>): Promise<number[]> {
  const sizes: number[] = [];
  for await (const { payload } of call) sizes.push(payload.body.length);
  return sizes;
}

export function zeros(size: number) {
  return { type: 'COMPRESSABLE', body: Buffer.alloc(size) };
}

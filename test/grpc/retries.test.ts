import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { meshPair } from '../fixture/mesh-pair.ts';
import { type Outcome, unary, withClient } from './calls.ts';
import { answerMessage, answerOk, answerStatus, rawGrpcServer } from './raw-server.ts';
import { TEST_SERVICE } from './services.ts';

const LIMIT = { timeout: 30_000 };

/** One call to a server that answers its tries as `answers` say, the last one for good; how many tries came. */
async function callWith(
  context: TestContext,
  retries: string,
  answers: readonly ((stream: ServerHttp2Stream) => void)[],
): Promise<Outcome<object> & { readonly tries: number }> {
  let tries = 0;
  const application = await rawGrpcServer(context, (stream) => {
    (answers[tries] ?? answers.at(-1))?.(stream);
    tries++;
  });
  const annotations = { 'tulle.dev/retries': retries };
  const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc', annotations });
  return withClient({ address: mesh.outbound, authority: 'app.shop' }, async (client) => {
    const outcome = await unary(client, TEST_SERVICE.EmptyCall, {});
    return { ...outcome, tries };
  });
}

const unavailable = (stream: ServerHttp2Stream) => answerStatus(stream, status.UNAVAILABLE, 'not now');

test(
  'a call that a server answers with UNAVAILABLE alone is made again, and says so',
  LIMIT,
  async (context) => {
    const { code, tries, headers } = await callWith(context, '2 on unavailable', [
      unavailable,
      unavailable,
      (stream) => answerOk(stream),
    ]);
    assert.deepEqual([code, tries], [status.OK, 3]);
    assert.match(String(headers.get('tulle-retried')), /unavailable: retry 2 of 2/);
  },
);

test("when no try is left, the server's own status and message are passed on", LIMIT, async (context) => {
  const { code, details, tries } = await callWith(context, '2 on unavailable', [unavailable]);
  assert.deepEqual([code, details, tries], [status.UNAVAILABLE, 'not now', 3]);
});

test('a call of which a message was answered is not made again', LIMIT, async (context) => {
  const { code, tries } = await callWith(context, '2 on unavailable', [
    (stream) => answerMessage(stream, { 'grpc-status': String(status.UNAVAILABLE) }),
  ]);
  assert.deepEqual([code, tries], [status.UNAVAILABLE, 1]);
});

test('a status that was not named is not tried again', LIMIT, async (context) => {
  const { code, tries } = await callWith(context, '2 on unavailable', [
    (stream) => answerStatus(stream, status.INTERNAL, 'broken'),
  ]);
  assert.deepEqual([code, tries], [status.INTERNAL, 1]);
});

test('several statuses can be named', LIMIT, async (context) => {
  const { code, tries } = await callWith(context, '3 on unavailable,resource-exhausted', [
    unavailable,
    (stream) => answerStatus(stream, status.RESOURCE_EXHAUSTED, 'full'),
    (stream) => answerOk(stream),
  ]);
  assert.deepEqual([code, tries], [status.OK, 3]);
});

test('by default a status of the server is never tried again', LIMIT, async (context) => {
  const { code, tries } = await callWith(context, '2 on connect', [unavailable]);
  assert.deepEqual([code, tries], [status.UNAVAILABLE, 1]);
});

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { meshPair } from '../fixture/mesh-pair.ts';
import { until } from '../fixture/wait.ts';
import { ask, openSession } from '../http2/client.ts';
import { type Target, unary, withClient } from './calls.ts';
import { answerOk, rawGrpcServer } from './raw-server.ts';
import { TEST_SERVICE } from './services.ts';

const LIMIT = { timeout: 30_000 };
const MS_OF_UNIT: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** What a `grpc-timeout` means, in ms; undefined without one. */
function timeoutMs(text: string | string[] | undefined): number | undefined {
  const [, count, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(String(text)) ?? [];
  return count === undefined ? undefined : Number(count) * (MS_OF_UNIT[unit] ?? Number.NaN);
}

/** A service that answers at once, and the `grpc-timeout` that each of its calls came with. */
async function answering(context: TestContext, annotations: Record<string, string> = {}) {
  const timeouts: (number | undefined)[] = [];
  const application = await rawGrpcServer(context, (stream, headers) => {
    timeouts.push(timeoutMs(headers['grpc-timeout']));
    answerOk(stream);
  });
  const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc', annotations });
  return { timeouts, target: { address: mesh.outbound, authority: 'app.shop' } };
}

/** A service that never answers; `ended`: how many calls it saw end. */
async function silent(context: TestContext, annotations: Record<string, string> = {}) {
  const calls = { begun: 0, ended: 0 };
  const application = await rawGrpcServer(context, (stream) => {
    calls.begun++;
    stream.on('close', () => calls.ended++);
  });
  const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc', annotations });
  return { calls, mesh, target: { address: mesh.outbound, authority: 'app.shop' } };
}

function emptyCall(target: Target, deadlineMs?: number) {
  const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
  return withClient(target, (client) => unary(client, TEST_SERVICE.EmptyCall, {}, new Metadata(), options));
}

test('the deadline of a caller reaches the server, as it is or shorter', LIMIT, async (context) => {
  const { target, timeouts } = await answering(context);
  assert.equal((await emptyCall(target, 60_000)).code, status.OK);
  const [came] = timeouts;
  assert.ok(came !== undefined && came > 0 && came <= 60_000, `${came} ms`);
});

test('a call without a deadline gets none', LIMIT, async (context) => {
  const { target, timeouts } = await answering(context);
  assert.equal((await emptyCall(target)).code, status.OK);
  assert.deepEqual(timeouts, [undefined]);
});

test(
  'a timeout of the service that is shorter shortens the deadline; a longer one does not lengthen it',
  LIMIT,
  async (context) => {
    const shorter = await answering(context, { 'tulle.dev/timeout': '20s' });
    assert.equal((await emptyCall(shorter.target, 600_000)).code, status.OK);
    const [came] = shorter.timeouts;
    assert.ok(came !== undefined && came > 0 && came <= 20_000, `${came} ms`);
    const longer = await answering(context, { 'tulle.dev/timeout': '600s' });
    assert.equal((await emptyCall(longer.target, 20_000)).code, status.OK);
    const [kept] = longer.timeouts;
    assert.ok(kept !== undefined && kept > 0 && kept <= 20_000, `${kept} ms`);
  },
);

test(
  'a timeout of the service that is over is DEADLINE_EXCEEDED, says which, and ends the call at the server',
  LIMIT,
  async (context) => {
    const { target, calls } = await silent(context, { 'tulle.dev/timeout': '150ms' });
    const { code, details, trailers } = await emptyCall(target);
    assert.equal(code, status.DEADLINE_EXCEEDED);
    assert.match(details, /shop\/app did not finish within timeout 150 ms/);
    assert.deepEqual(trailers.get('tulle-reason'), ['request-timeout']);
    await until('the end at the server', () => calls.ended === 1);
  },
);

test('a try that takes too long is DEADLINE_EXCEEDED and says so', LIMIT, async (context) => {
  const { target } = await silent(context, { 'tulle.dev/try-timeout': '150ms' });
  const { code, details, trailers } = await emptyCall(target);
  assert.equal(code, status.DEADLINE_EXCEEDED);
  assert.match(details, /try-timeout 150 ms/);
  assert.deepEqual(trailers.get('tulle-reason'), ['try-timeout']);
});

test("the sidecar itself ends a call whose caller's deadline is over", LIMIT, async (context) => {
  const { mesh, calls } = await silent(context);
  // A client that tells a deadline and does not hold to it.
  const session = await openSession(context, mesh.outbound);
  const answer = await ask(
    session,
    {
      ':method': 'POST',
      ':path': TEST_SERVICE.EmptyCall.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': '1500m',
    },
    Buffer.alloc(5),
  );
  assert.deepEqual([answer.status, answer.headers['grpc-status']], [200, String(status.DEADLINE_EXCEEDED)]);
  assert.equal(answer.headers['tulle-reason'], 'request-timeout');
  await until('the end at the server', () => calls.ended === 1);
});

test("a client's own deadline ends the call at the server", LIMIT, async (context) => {
  const { target, calls } = await silent(context);
  const { code } = await emptyCall(target, 500);
  assert.equal(code, status.DEADLINE_EXCEEDED);
  await until('the end at the server', () => calls.ended === calls.begun);
});

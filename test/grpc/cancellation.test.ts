import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { type Client, Metadata, status } from '@grpc/grpc-js';
import { meshPair } from '../fixture/mesh-pair.ts';
import { until } from '../fixture/wait.ts';
import { clientOf, duplex, statusOf, type Target } from './calls.ts';
import { rawGrpcServer } from './raw-server.ts';
import { TEST_SERVICE } from './services.ts';

const LIMIT = { timeout: 30_000 };
const CANCEL = 0x8;

/** A server that begins to answer and never ends, and how its calls ended: error codes of RST_STREAM. */
async function endless(context: TestContext): Promise<{
  readonly target: Target;
  readonly calls: { begun: number; readonly ended: number[] };
}> {
  const calls = { begun: 0, ended: [] as number[] };
  const application = await rawGrpcServer(context, (stream) => {
    calls.begun++;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.on('close', () => calls.ended.push(stream.rstCode));
  });
  const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc' });
  return { target: { address: mesh.outbound, authority: 'app.shop' }, calls };
}

function client(context: TestContext, target: Target): Client {
  const opened = clientOf(target);
  context.after(() => opened.close());
  return opened;
}

test(
  'a call that is cancelled is reset at the server at once; others of the connection go on',
  LIMIT,
  async (context) => {
    const { target, calls } = await endless(context);
    const caller = client(context, target);
    const [cancelled, other] = [0, 1].map(() => duplex(caller, TEST_SERVICE.FullDuplexCall));
    assert.ok(cancelled !== undefined && other !== undefined);
    await Promise.all([once(cancelled, 'metadata'), once(other, 'metadata')]);
    const ended = statusOf(cancelled);
    cancelled.cancel();
    assert.equal((await ended).code, status.CANCELLED);
    await until('the reset at the server', () => calls.ended.length === 1);
    assert.deepEqual(calls, { begun: 2, ended: [CANCEL] });
    other.cancel();
    await until('the second reset', () => calls.ended.length === 2);
  },
);

test('a call that is cancelled before its answer began is reset too', LIMIT, async (context) => {
  let begun = 0;
  const ended: number[] = [];
  const application = await rawGrpcServer(context, (stream) => {
    begun++;
    stream.on('close', () => ended.push(stream.rstCode));
  });
  const mesh = await meshPair(context, { name: 'app', application, protocol: 'grpc' });
  const caller = client(context, { address: mesh.outbound, authority: 'app.shop' });
  const call = duplex(caller, TEST_SERVICE.FullDuplexCall, new Metadata());
  call.write({});
  await until('the call at the server', () => begun === 1);
  call.cancel();
  await until('the reset at the server', () => ended.length === 1);
  assert.deepEqual(ended, [CANCEL]);
});

test('a client whose connection breaks ends all of its calls at the server', LIMIT, async (context) => {
  const { target, calls } = await endless(context);
  const { connect } = await import('node:http2');
  const session = connect(`http://${target.address}`);
  session.on('error', () => {});
  for (let call = 0; call < 3; call++) {
    const stream = session.request(
      {
        ':method': 'POST',
        ':path': TEST_SERVICE.FullDuplexCall.path,
        ':authority': 'app.shop',
        'content-type': 'application/grpc',
        te: 'trailers',
      },
      { endStream: false },
    );
    stream.on('error', () => {});
  }
  await until('all calls at the server', () => calls.begun === 3);
  session.destroy();
  await until('all ends at the server', () => calls.ended.length === 3);
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { answering } from './fixture/backend.ts';
import { rawClient } from './fixture/client.ts';
import { bothRoute, edgeMesh, trafficPolicy, twoWays } from './fixture/two-ways.ts';
import { until } from './fixture/wait.ts';
import { answerOk, rawGrpcServer } from './grpc/raw-server.ts';
import { begin, openSession } from './http2/client.ts';

const at = (path: string, name = path.slice(1)) => ({
  name,
  matches: [{ path: { value: path } }],
  backendRefs: [{ name: 'app' }],
});
const RULES = [at('/abort'), at('/chaos'), at('/half'), at('/slow'), at('/never'), at('/timed'), at('/both')];

const rule = (sectionName: string, fields: object) =>
  trafficPolicy(sectionName, { kind: 'HTTPRoute', name: 'app', sectionName }, fields);

const POLICIES = [
  rule('abort', { fault: 'abort 503 100%' }),
  rule('chaos', { fault: 'abort unauthenticated 100% if header x-chaos: on' }),
  rule('half', { fault: 'abort 500 50%' }),
  rule('slow', { fault: 'delay 30ms 100%' }),
  rule('never', { fault: 'delay 5m 100%' }),
  rule('timed', { fault: 'delay 5m 100%', timeout: '50ms' }),
  rule('both', { fault: 'delay 20ms 100%; delay 20ms 100%; abort 502 100%' }),
  trafficPolicy(
    'calls',
    { kind: 'GRPCRoute', name: 'calls' },
    { fault: 'delay 5m 100% if header x-slow; abort data-loss 100%' },
  ),
];

async function faulty(context: TestContext) {
  const app = await answering();
  context.after(() => app.close());
  let calls = 0;
  const grpc = await rawGrpcServer(context, (stream) => {
    calls++;
    answerOk(stream);
  });
  const mesh = edgeMesh(
    {
      app: { protocol: 'http', endpoints: [app.address] },
      calls: { protocol: 'grpc', endpoints: [grpc] },
      plain: {
        protocol: 'http',
        endpoints: [app.address],
        annotations: { 'tulle.dev/fault': 'abort 504 100%' },
      },
    },
    {
      routes: [
        bothRoute('HTTPRoute', 'app', 'app', [...RULES, { backendRefs: [{ name: 'app' }] }]),
        bothRoute('GRPCRoute', 'calls', 'calls', [{ backendRefs: [{ name: 'calls' }] }]),
      ],
      policies: POLICIES,
    },
  );
  const sidecar = await twoWays(context, mesh);
  return { ...sidecar, app, calls: () => calls };
}

test('an abort is answered in place of the server, explained and counted, by whatever protocol and listener', async (context) => {
  const { ways, app, call, calls, explain, metric } = await faulty(context);
  for (const [index, { name, ask }] of ways.entries()) {
    const { status, headers } = await ask('/abort', { 'x-request-id': `abort-${index}` });
    assert.deepEqual([status, headers['tulle-reason']], [503, 'fault-abort'], name);
    const id = String(headers['x-request-id']);
    const { reason, detail, policies, attempts } = await explain(id);
    assert.deepEqual([reason, attempts], ['fault-abort', []], name);
    assert.match(String(detail), /as 100% of requests are: HTTPRoute t\/app rule 1/);
    assert.deepEqual(policies, [
      { policy: 'fault', decision: 'aborted', detail: 'on purpose, as 100% of requests are' },
    ]);
    const chaos = await ask('/chaos', { 'x-chaos': 'on' });
    assert.deepEqual([chaos.status, chaos.headers['tulle-reason']], [401, 'fault-abort'], name);
    assert.equal(app.received, '');
  }
  for (const { name, ask } of ways) {
    assert.equal((await ask('/chaos', { 'x-chaos': 'off' })).status, 200, name);
    assert.equal((await ask('/chaos')).status, 200, name);
    assert.equal((await ask('/other')).status, 200, name);
  }
  for (const [status, message, reason] of await call('/a.B/C')) {
    assert.deepEqual([status, reason], ['15', 'fault-abort']);
    assert.notEqual(message, '');
  }
  assert.equal(calls(), 0);
  assert.equal(await metric('tulle_local_responses_total', 'reason="fault-abort"'), 2 * ways.length + 2);
});

test('a share of the requests is aborted, and an annotation of a Service is enough', async (context) => {
  const { ways } = await faulty(context);
  const [{ ask } = assert.fail()] = ways;
  const statuses = new Map<number, number>();
  for (let i = 0; i < 200; i++) {
    const { status } = await ask('/half');
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  // That all of 200 fall on one side has a chance of 2^-199.
  assert.deepEqual([...statuses.keys()].sort(), [200, 500]);
  assert.equal((await ask('/', { host: 'plain.t' })).status, 504);
});

test('a delay is explained and counted; it does not outlast the timeout nor the deadline of a call', async (context) => {
  const { ways, app, call, explain, metric } = await faulty(context);
  for (const { name, ask } of ways) {
    const { status, body } = await ask('/slow', {}, 'POST', 'hello');
    assert.deepEqual([status, body], [200, 'you asked for /slow'], name);
    const timed = await ask('/timed');
    assert.deepEqual([timed.status, timed.headers['tulle-reason']], [504, 'request-timeout'], name);
    const both = await ask('/both');
    assert.deepEqual([both.status, both.headers['tulle-reason']], [502, 'fault-abort'], name);
    const { policies } = await explain(String(both.headers['x-request-id']));
    assert.deepEqual(
      (policies as { decision: string }[]).map(({ decision }) => decision),
      ['delayed', 'delayed', 'aborted'],
    );
  }
  for (const [status, , reason] of await call('/a.B/C', { 'x-slow': 'yes', 'grpc-timeout': '50m' }))
    assert.deepEqual([status, reason], ['4', 'request-timeout']);
  assert.doesNotMatch(app.received, /timed|both/);
  assert.equal(await metric('tulle_fault_delays_total'), 4 * ways.length + 2);
});

test('a client that goes away while it is delayed ends its request', async (context) => {
  const { ways, app, explain } = await faulty(context);
  const [{ address } = assert.fail()] = ways;
  const client = await rawClient(address);
  client.send('GET /never HTTP/1.1\r\nHost: app.t\r\nX-Request-Id: gone-1\r\n\r\n');
  const session = await openSession(context, address);
  const stream = begin(
    session,
    { ':path': '/never', ':authority': 'app.t', 'x-request-id': 'gone-2' },
    { endStream: true },
  );
  stream.on('error', () => {});
  // What comes after the request on its connection: it has arrived.
  await new Promise((resolve) => session.ping(() => resolve(undefined)));
  stream.close(constants.NGHTTP2_CANCEL);
  client.close();
  await once(stream, 'close');
  for (const id of ['gone-1', 'gone-2'])
    await until(id, async () => (await explain(id)).reason === 'client-closed');
  assert.equal(app.received, '');
});

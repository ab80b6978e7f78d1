import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import { streamHead } from '../../test/fixture/stream-head.ts';
import { type Filter, LATER } from '../filters/filter.ts';
import { Field } from '../http/field.ts';
import { HTTP_2 } from '../http/message-head.ts';
import { NO_ERROR } from '../http2/error-codes.ts';
import { scriptedRelay } from './scripted-relay.fixture.ts';

const NOTHING = { requests: 0, inFlight: 0 };
const HEDGED = { hedge: { quantile: 0.5 }, retryBudget: { ratio: 1, perSecond: 100 } };

/** Latencies are known, so that hedges are made after some ms. */
function warm(script: ReturnType<typeof scriptedRelay>): void {
  for (let i = 0; i < 20; i++) {
    script.request();
    script.last.connect();
    script.pass(2);
    script.last.answer(200);
  }
}

/** A unary gRPC call. */
function grpcCall({ relay }: ReturnType<typeof scriptedRelay>, ...more: readonly [string, string][]): void {
  const lines = [['content-type', 'application/grpc'], ...more] as const;
  relay.onRequest(streamHead({ method: 'POST', target: '/a.B/C', authority: 'app', lines }));
  relay.onRequestEnd(undefined);
}

test('a hedge is given no longer than an attempt may take', (context) => {
  const script = scriptedRelay(context, { settings: HEDGED, tryTimeoutMs: 500 });
  warm(script);
  const before = script.calls.length;
  script.request();
  script.last.connect();
  script.pass(100);
  script.last.connect();
  const [first, hedge] = script.calls.slice(before);
  script.pass(450);
  assert.deepEqual([first?.how, hedge?.how], ['abandoned', '']);
  script.pass(200);
  assert.equal(hedge?.how, 'abandoned');
  assert.equal(script.client.answer?.status, 504);
  assert.match(script.client.answer?.text ?? '', /tulle-reason: try-timeout/);
  assert.deepEqual(script.counted(), NOTHING);
});

test('a request that is over before it is sent leaves no hedge to those that were pipelined behind it', (context) => {
  let goOn = (): void => {};
  const hold: Filter = {
    name: 'hold',
    onRequest(exchange, request) {
      if (exchange.header('x-hold') === undefined) return undefined;
      goOn = () => request.resume();
      return LATER;
    },
  };
  const script = scriptedRelay(context, { settings: HEDGED, filters: [hold] });
  warm(script);
  script.request('GET', '', 'x-hold: 1', 'tulle-timeout-ms: 30');
  context.mock.method(script.relay, 'onDeadline', () => {}, { times: 1 });
  script.pass(40);
  const { client } = script;
  const answer = client.respondLocally.bind(client);
  const pipelined = (...response: Parameters<typeof answer>) => {
    answer(...response);
    script.request();
  };
  context.mock.method(client, 'respondLocally', pipelined, { times: 1 });
  goOn();
  script.last.connect();
  script.last.answer(200);
  const before = script.calls.length;
  script.request('POST');
  script.last.connect();
  script.pass(100);
  assert.equal(script.calls.length - before, 1, 'it ran twice');
});

test('no hedge is sent when the time of its request is over', (context) => {
  const script = scriptedRelay(context, { settings: HEDGED });
  warm(script);
  const before = script.calls.length;
  script.request('GET', '', 'tulle-timeout-ms: 3000');
  script.last.connect();
  // Timers of the wheel may come later than those of Node.
  context.mock.method(script.relay, 'onDeadline', () => {}, { times: 1 });
  script.pass(3010);
  assert.equal(script.calls.length - before, 1);
});

test('a request whose time is over when it has a connection is not sent', (context) => {
  const script = scriptedRelay(context, { timeoutMs: 100 });
  script.request();
  context.mock.method(script.relay, 'onDeadline', () => {}, { times: 1 });
  script.pass(130);
  script.last.connect();
  assert.ok(script.last.request === undefined);
  assert.match(script.client.answer?.text ?? '', /tulle-reason: deadline-exceeded/);
  assert.deepEqual(script.counted(), NOTHING);
});

test('a wait for configuration counts to the time of a request, and to that of no attempt', (context) => {
  const script = scriptedRelay(context, { waits: true, timeoutMs: 3000, settings: HEDGED });
  script.request();
  script.pass(2000);
  script.configured();
  script.last.connect();
  script.pass(5);
  assert.ok((script.relay.exchange.attempts[0]?.startMs ?? 0) >= 2000);
  script.last.answer(200);
  const [attempt] = script.relay.exchange.attempts;
  assert.ok((attempt?.durationMs ?? 0) < 1000, `${attempt?.durationMs}`);
  const late = scriptedRelay(context, { waits: true, timeoutMs: 3000 });
  late.request();
  late.pass(2000);
  late.configured();
  late.last.connect();
  late.pass(1100);
  assert.match(late.client.answer?.text ?? '', /tulle-reason: request-timeout/);
});

test('requests that nobody waited for make no endpoint look quick', (context) => {
  const script = scriptedRelay(context, {
    settings: { balance: { strategy: 'p2c-ewma' } },
    endpoints: ['a:1'],
  });
  const [endpoint = assert.fail()] = script.cluster.endpoints;
  for (let i = 0; i < 3; i++) {
    script.request();
    script.last.connect();
    script.pass(100);
    script.last.answer(200);
  }
  const before = endpoint.ewmaMs;
  for (let i = 0; i < 50; i++) {
    script.pass(500);
    script.request();
    if (i % 2 === 0) script.last.connectFails('pool-full');
    else {
      script.last.connect();
      script.pass(1);
      script.relay.onDisconnected();
    }
  }
  assert.ok(before > 90 && endpoint.ewmaMs > 90, `${before} ms, then ${endpoint.ewmaMs} ms`);
});

test('a hedge blames an endpoint for no more than a first attempt does', (context) => {
  const script = scriptedRelay(context, { settings: HEDGED, version: HTTP_2 });
  warm(script);
  for (const fails of [
    () => script.last.connectFails('pool-full'),
    () => {
      script.last.connect();
      script.last.fail({ refused: true, resetCode: NO_ERROR });
    },
  ]) {
    script.request();
    const first = script.last;
    first.connect();
    script.pass(100);
    assert.notEqual(script.last, first);
    fails();
    first.answer(200);
  }
  assert.deepEqual(
    script.cluster.endpoints.map(({ circuit }) => circuit),
    [undefined, undefined, undefined],
  );
});

test('a wait before a retry is not idle, and the next attempt has the whole idle timeout', (context) => {
  const script = scriptedRelay(context, {
    settings: { idleTimeoutMs: 300, retries: { attempts: 1, on: [503] } },
  });
  script.request();
  script.last.connect();
  script.pass(200);
  script.last.answer(503, 'Retry-After: 1');
  for (let passed = 0; passed < 2000 && script.calls.length === 1; passed += 50) script.pass(50);
  assert.equal(script.calls.length, 2);
  script.last.connect();
  script.pass(200);
  script.last.answer(200);
  assert.equal(script.client.answer?.status, 200);
});

test('an attacker who leaves an endpoint too little time does not have it ejected, whoever of the two says that it is over', (context) => {
  const calls: ((script: ReturnType<typeof scriptedRelay>) => void)[] = [
    (script) => {
      script.request('GET', '', 'tulle-timeout-ms: 50');
      script.last.connect();
      script.last.answer(504, 'tulle-reason: request-timeout');
    },
    (script) => {
      grpcCall(script, ['grpc-timeout', '50m']);
      script.last.connect();
      script.last.answer(200, 'content-type: application/grpc', 'grpc-status: 4');
    },
  ];
  for (const call of calls) {
    const script = scriptedRelay(context, { version: HTTP_2, settings: { balance: { strategy: 'random' } } });
    for (let i = 0; i < 40; i++) call(script);
    assert.ok(script.client.answers.every(({ ended }) => ended));
    assert.deepEqual(
      script.cluster.endpoints.map(({ circuit }) => circuit),
      [undefined, undefined, undefined],
    );
  }
});

test('whoever is slow with a body, or to take one, has no endpoint blamed when its server is the first to say that the time is over', (context) => {
  const clients: ((script: ReturnType<typeof scriptedRelay>) => void)[] = [
    (script) => {
      script.request('POST', 1000);
      script.last.connect();
      script.pass(1000);
      script.last.answer(504, 'tulle-reason: request-timeout');
    },
    (script) => {
      script.request();
      script.last.connect();
      script.last.head(200);
      script.pass(2000);
      script.last.fail();
      assert.ok(script.client.aborted);
      assert.equal(script.relay.exchange.reason, 'request-timeout');
    },
    (script) => {
      grpcCall(script);
      script.last.connect();
      script.last.head(200, 'content-type: application/grpc');
      script.pass(2000);
      script.last.end([new Field('grpc-status', '4')]);
      assert.equal(script.relay.exchange.grpcStatus, 4);
    },
  ];
  for (const client of clients) {
    const script = scriptedRelay(context, { version: HTTP_2, timeoutMs: 2000 });
    context.mock.method(script.relay, 'onDeadline', () => {}, { times: 1 });
    client(script);
    const failed = script.cluster.endpoints.filter(({ circuit }) => circuit !== undefined);
    assert.deepEqual(failed, []);
    assert.deepEqual(script.counted(), NOTHING);
  }
});

test('a server that says it is too late when a policy of ours set the time fails', (context) => {
  const script = scriptedRelay(context, { timeoutMs: 5000 });
  script.request();
  script.last.connect();
  script.last.answer(504, 'tulle-reason: request-timeout');
  const failed = script.cluster.endpoints.filter(({ circuit }) => circuit !== undefined);
  assert.equal(failed.length, 1);
});

test('a request that comes too late is no probe of an endpoint that is half-open', (context) => {
  const script = scriptedRelay(context);
  const { cluster } = script;
  const [first = assert.fail()] = cluster.endpoints;
  for (let i = 0; i < 5; i++) {
    cluster.started(first, performance.now());
    cluster.finished(first, performance.now(), 0, true, '503', performance.now());
  }
  script.pass(6_300);
  assert.equal(first.circuit?.state, 'half-open');
  script.request('GET', '', 'tulle-timeout-ms: 0');
  assert.match(script.client.answer?.text ?? '', /deadline-exceeded/);
  assert.equal(cluster.pick(undefined), first);
});

test('a client that has ended its direction waits for its answer: what has not run is made again, what may have run is not', (context) => {
  const settings = { retries: { attempts: 2, on: ['connect', 'reset'] as const } };
  const script = scriptedRelay(context, { settings });
  script.request();
  script.relay.onHalfClosed();
  script.last.connectFails();
  script.last.connect();
  script.last.fail();
  assert.equal(script.calls.length, 2);
  assert.match(script.client.answer?.text ?? '', /tulle-reason: upstream-reset/);
});

test('a gRPC call that a proxy on the way answers by HTTP alone is made again by its status, if it may run twice', (context) => {
  for (const [methods, calls] of [
    [['POST'], 2],
    [undefined, 1],
  ] as const) {
    const retries = { attempts: 1, on: [503], ...(methods && { methods }) };
    const script = scriptedRelay(context, { version: HTTP_2, settings: { retries } });
    grpcCall(script);
    script.last.connect();
    script.last.answer(503, 'content-type: text/html');
    script.pass(1000);
    assert.equal(script.calls.length, calls);
  }
});

test('strangers at a gateway are told of no retries, be they of another hop', (context) => {
  for (const kind of ['outbound', 'gateway'] as const) {
    const script = scriptedRelay(context, { kind });
    script.request();
    script.last.connect();
    script.last.answer(200, 'tulle-retried: on refused stream: retry 1 of 1');
    assert.equal(/tulle-retried/.test(script.client.answer?.text ?? ''), kind === 'outbound');
  }
});

const ONCE = { retries: { ...DEFAULT_SETTINGS.retries, attempts: 0 } };
const RESETS = { retries: { ...DEFAULT_SETTINGS.retries, attempts: 1, on: ['reset'] as const } };
const NOT_RUN = ['tulle-reason: connect-failed', 'tulle-not-run: connect-failed'];

test('a POST whose endpoint says that its application was not there goes elsewhere, since it has not run', (context) => {
  const script = scriptedRelay(context, { version: HTTP_2 });
  for (const endpoint of script.cluster.endpoints) endpoint.identity = 't/app';
  script.request('POST', 'pay');
  const first = script.last;
  first.connect();
  first.answer(503, ...NOT_RUN);
  assert.notEqual(script.last.endpoint, first.endpoint);
  script.last.connect();
  script.last.answer(200);
  assert.deepEqual([script.calls.length, script.last.body, script.client.answer?.status], [2, 'pay', 200]);
});

test('over HTTP/1.1 the body of such a POST is kept where the policy names more than connect', (context) => {
  for (const [on, calls] of [
    [['connect', 503], 2],
    [['connect'], 1],
  ] as const) {
    const script = scriptedRelay(context, { settings: { retries: { attempts: 2, on } } });
    for (const endpoint of script.cluster.endpoints) endpoint.identity = 't/app';
    script.request('POST', 'pay');
    script.last.connect();
    script.last.answer(503, ...NOT_RUN);
    if (calls === 2) script.last.connect();
    assert.deepEqual([script.calls.length, script.last.body], [calls, 'pay'], on.join());
  }
});

test('a stream whose client waits for the answer with its body open goes elsewhere, too, and the rest of its body with it', (context) => {
  const script = scriptedRelay(context, { version: HTTP_2 });
  for (const endpoint of script.cluster.endpoints) endpoint.identity = 't/app';
  script.request('POST', 10);
  script.last.connect();
  script.data('hello');
  script.last.answer(503, ...NOT_RUN);
  script.last.connect();
  script.data('world');
  script.relay.onRequestEnd(undefined);
  script.last.answer(200);
  assert.deepEqual([script.calls.length, script.last.body, script.last.bodyEnded], [2, 'helloworld', true]);
  assert.deepEqual([script.client.answer?.status, script.counted()], [200, NOTHING]);
});

test('a server outside the mesh is not believed that a POST has not run', (context) => {
  const script = scriptedRelay(context, { version: HTTP_2 });
  script.request('POST', 'pay');
  script.last.connect();
  script.last.answer(503, ...NOT_RUN);
  assert.deepEqual([script.calls.length, script.client.answer?.status], [1, 503]);
});

test('who cannot connect to the application here tells callers in the mesh, and strangers nothing', (context) => {
  for (const mtls of [true, false]) {
    const script = scriptedRelay(context, { kind: 'inbound', endpoints: ['app:1'], settings: ONCE });
    script.request('POST', 'pay');
    script.relay.exchange.mtls = mtls;
    script.last.connectFails();
    assert.equal(/tulle-not-run: connect-failed/.test(script.client.answer?.text ?? ''), mtls);
  }
});

test('a request that may have run before its application was gone is not said to have not run', (context) => {
  const script = scriptedRelay(context, { kind: 'inbound', endpoints: ['app:1'], settings: RESETS });
  script.request('GET');
  script.relay.exchange.mtls = true;
  script.last.connect();
  script.last.fail();
  script.pass(1_000);
  script.last.connectFails();
  assert.deepEqual([script.calls.length, script.client.answer?.status], [2, 503]);
  assert.doesNotMatch(script.client.answer?.text ?? '', /tulle-not-run/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { RetryCondition, TrafficSettings } from '../../protocol/traffic-policy.ts';
import { type AttemptFailure, hinderedBy, retryCondition } from './retry.ts';

const METHODS = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'POST', 'PATCH', 'PURGE', 'get'];
const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'];

function failure(kind: AttemptFailure['kind'], status = 0, stale = false): AttemptFailure {
  return { kind, status, stale };
}

function on(...conditions: RetryCondition[]): TrafficSettings {
  return { ...DEFAULT_SETTINGS, retries: { attempts: 2, on: conditions } };
}

test('without a policy a failed connect is retried, whatever the method, even with a body on the way', () => {
  for (const method of METHODS) {
    assert.equal(retryCondition(DEFAULT_SETTINGS, failure('connect'), method, true), 'connect');
    assert.equal(retryCondition(DEFAULT_SETTINGS, failure('connect'), method, false), 'connect');
  }
});

test('without a policy nothing else is retried: what was sent may have run', () => {
  for (const method of METHODS) {
    for (const one of [
      failure('reset'),
      failure('try-timeout', 504),
      failure('status', 503),
      failure('status', 500),
    ])
      assert.equal(retryCondition(DEFAULT_SETTINGS, one, method, true), undefined, `${method} ${one.kind}`);
  }
});

test('a stale kept connection is retried for idempotent methods only; POST is never replayed', () => {
  const repeated = METHODS.filter(
    (method) => retryCondition(on(), failure('reset', 0, true), method, true) !== undefined,
  );
  assert.deepEqual(repeated, IDEMPOTENT);
  assert.equal(retryCondition(on(), failure('reset', 0, true), 'GET', true), 'stale connection');
  assert.equal(retryCondition(on('connect', '5xx', 504), failure('reset', 0, true), 'POST', true), undefined);
});

test('once a part of the body was sent, no policy makes the request again', () => {
  const everything = on('connect', 'reset', 'refused-stream', '5xx', 503, 504);
  for (const one of [
    failure('reset'),
    failure('reset', 0, true),
    failure('try-timeout', 504),
    failure('status', 503),
  ]) {
    assert.equal(retryCondition(everything, one, 'GET', false), undefined, one.kind);
    assert.notEqual(retryCondition(everything, one, 'GET', true), undefined, one.kind);
  }
});

test('a stream that was refused has not run: a policy of connect or refused-stream repeats it, whatever the method', () => {
  for (const method of METHODS) {
    assert.equal(retryCondition(DEFAULT_SETTINGS, failure('refused'), method, true), 'refused stream');
    for (const condition of ['connect', 'refused-stream'] as const)
      assert.equal(retryCondition(on(condition), failure('refused'), method, true), 'refused stream');
    assert.equal(
      retryCondition(on('reset', '5xx', 'unavailable'), failure('refused'), method, true),
      undefined,
    );
  }
});

test('a stream that was refused is not repeated without its body', () => {
  assert.equal(retryCondition(on('connect', 'refused-stream'), failure('refused'), 'GET', false), undefined);
});

test('a gRPC status is retried where the policy names it, and by its name alone', () => {
  const unavailable: AttemptFailure = { ...failure('status', 200), grpc: 'unavailable' };
  assert.equal(retryCondition(on('unavailable'), unavailable, 'POST', true), 'unavailable');
  assert.equal(retryCondition(on('unavailable'), unavailable, 'POST', false), undefined);
  assert.equal(retryCondition(DEFAULT_SETTINGS, unavailable, 'POST', true), undefined);
  for (const condition of ['internal', 'cancelled', 'reset', '5xx', 'connect', 200] as const)
    assert.equal(retryCondition(on(condition), unavailable, 'POST', true), undefined, String(condition));
  assert.equal(retryCondition(on('unavailable'), failure('status', 503), 'GET', true), undefined);
});

test('a policy adds methods that may run twice, and takes away those that it does not name', () => {
  const settings: TrafficSettings = {
    ...DEFAULT_SETTINGS,
    retries: { attempts: 2, on: ['connect', 'reset', 503, 'unavailable'], methods: ['POST'] },
  };
  for (const one of [failure('reset'), failure('status', 503), failure('reset', 0, true)]) {
    assert.notEqual(retryCondition(settings, one, 'POST', true), undefined, one.kind);
    assert.equal(retryCondition(settings, one, 'GET', true), undefined, one.kind);
  }
  for (const method of METHODS) {
    assert.equal(retryCondition(settings, failure('connect'), method, true), 'connect');
    assert.equal(retryCondition(settings, failure('refused'), method, true), 'refused stream');
  }
});

test('without methods in the policy, a POST that was answered 503 is not made again: it may have paid out', () => {
  assert.equal(retryCondition(on(503, '5xx'), failure('status', 503), 'POST', true), undefined);
  assert.deepEqual(hinderedBy(on(503), failure('status', 503), 'POST'), { condition: '503', by: 'method' });
  assert.deepEqual(hinderedBy(on(503), failure('status', 503), 'GET'), { condition: '503', by: 'body' });
  assert.equal(hinderedBy(on(503), failure('status', 500), 'POST'), undefined);
});

test('a policy without connect retries no failed connect', () => {
  assert.equal(retryCondition(on('5xx', 'reset'), failure('connect'), 'GET', true), undefined);
});

test('a policy is followed to the letter: reset, 5xx, single statuses, and 504 for a try that took too long', () => {
  assert.equal(retryCondition(on('reset'), failure('reset'), 'GET', true), 'reset');
  assert.equal(retryCondition(on('5xx'), failure('reset'), 'GET', true), undefined);
  assert.equal(retryCondition(on('5xx'), failure('status', 500), 'GET', true), '5xx');
  assert.equal(retryCondition(on('5xx'), failure('status', 499), 'GET', true), undefined);
  assert.equal(retryCondition(on(503), failure('status', 503), 'GET', true), '503');
  assert.equal(retryCondition(on(503), failure('status', 502), 'GET', true), undefined);
  assert.equal(retryCondition(on(503, '5xx'), failure('status', 503), 'GET', true), '503');
  assert.equal(retryCondition(on(429), failure('status', 429), 'GET', true), '429');
  assert.equal(retryCondition(on(504), failure('try-timeout', 504), 'GET', true), 'try-timeout');
  assert.equal(retryCondition(on('5xx'), failure('try-timeout', 504), 'GET', true), 'try-timeout');
  assert.equal(retryCondition(on('reset', 503), failure('try-timeout', 504), 'GET', true), undefined);
});

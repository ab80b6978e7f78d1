import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRetries } from './retries.ts';

const MEANT =
  'write COUNT on CONDITION,..., like "2 on connect,reset,503", with 0 to 10 retries on connect, reset, refused-stream, 5xx, statuses or gRPC statuses; then, if wanted, "for GET,POST" and "backoff 25ms..250ms"';

test('a count and conditions', () => {
  assert.deepEqual(parseRetries('2 on connect,reset,503'), {
    retries: { attempts: 2, on: ['connect', 'reset', 503] },
  });
  assert.deepEqual(parseRetries('  10 on refused-stream , 5xx , 429 '), {
    retries: { attempts: 10, on: ['refused-stream', '5xx', 429] },
  });
});

test('the statuses of gRPC that may be retried are named as conditions, beside all others', () => {
  const names = ['cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable'] as const;
  for (const name of names) {
    assert.deepEqual(parseRetries(`1 on ${name}`), { retries: { attempts: 1, on: [name] } });
  }
  assert.deepEqual(parseRetries('2 on connect, unavailable ,503'), {
    retries: { attempts: 2, on: ['connect', 'unavailable', 503] },
  });
});

test('0, off and none are no retries', () => {
  for (const text of ['0', ' off ', 'none']) {
    assert.deepEqual(parseRetries(text), { retries: { attempts: 0, on: [] } });
  }
});

test('what is no policy is told with what was meant', () => {
  for (const text of [
    '',
    '2',
    'on 503',
    '-1 on 503',
    '2.5 on 503',
    'many on 503',
    '2 on',
    '2 503',
    '1 ON 503',
  ]) {
    assert.deepEqual(parseRetries(text), { wrong: 'is not a retry policy', meant: MEANT }, text);
  }
});

test('statuses of success and made-up conditions are nothing to retry on', () => {
  const odd: [text: string, told: string][] = [
    ['2 on 200', '"200"'],
    ['2 on connect,600', '"600"'],
    ['2 on conect', '"conect"'],
    ['2 on connect,', '""'],
    ['2 on 5030', '"5030"'],
    ['2 on CONNECT', '"CONNECT"'],
    ['2 on constructor', '"constructor"'],
    ['2 on UNAVAILABLE', '"UNAVAILABLE"'],
    ['2 on deadline_exceeded', '"deadline_exceeded"'],
    ['2 on invalid-argument', '"invalid-argument"'],
    ['2 on 14', '"14"'],
  ];
  for (const [text, told] of odd) {
    assert.deepEqual(parseRetries(text), {
      wrong: `has ${told}, which is nothing to retry on`,
      meant: MEANT,
    });
  }
});

test('a storm of retries is refused', () => {
  assert.deepEqual(parseRetries('11 on connect'), {
    wrong: 'asks for 11 retries, more than 10',
    meant: MEANT,
  });
  assert.deepEqual(parseRetries('999 on connect'), {
    wrong: 'asks for 999 retries, more than 10',
    meant: MEANT,
  });
});

test('methods that may run twice and the waits between are said in this order, each or none', () => {
  const policy = { attempts: 2, on: ['connect', 'reset', 503] };
  const methods = ['GET', 'POST'];
  const backoff = { baseMs: 50, capMs: 1000 };
  for (const [text, more] of [
    ['2 on connect,reset,503 for GET,POST', { methods }],
    ['2 on connect , reset,503  for GET , POST ', { methods }],
    ['2 on connect,reset,503 backoff 50ms..1s', { backoff }],
    ['2 on connect,reset,503 for GET,POST backoff 50ms..1s', { methods, backoff }],
  ] as const)
    assert.deepEqual(parseRetries(text), { retries: { ...policy, ...more } }, text);
});

test('methods or waits that are none are named, and no part of the policy holds', () => {
  for (const [text, told] of [
    ['2 on 503 for get', '"get", which are no methods'],
    ['2 on 503 for GET,', '"GET,", which are no methods'],
    ['2 on 503 backoff 50ms', '"50ms", which is no backoff'],
    ['2 on 503 backoff 1s..50ms', '"1s..50ms", which is no backoff'],
    ['2 on 503 backoff 0ms..1s', '"0ms..1s", which is no backoff'],
    ['2 on 503 backoff 1s..2s..3s', '"1s..2s..3s", which is no backoff'],
    ['2 on 503 backoff 1s..2s for GET', '"1s..2s for GET", which is no backoff'],
  ] as const)
    assert.deepEqual(parseRetries(text), { wrong: `has ${told}`, meant: MEANT }, text);
});

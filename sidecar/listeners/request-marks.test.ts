import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { NO_DEADLINE } from './deadlines.ts';
import { attemptFields, joined, takeMarks, UNMARKED } from './request-marks.ts';

test('what a mesh peer says of a request is taken out of its head, to be said anew by this hop', () => {
  const exchange = exchangeFor('/', ['Tulle-Timeout-Ms: 250', 'tulle-attempt: 2'], { startMs: 1000 });
  assert.deepEqual(takeMarks(exchange, true), { attempt: 2, deadlineMs: 1250 });
  assert.equal(exchange.header('tulle-timeout-ms'), undefined);
  assert.equal(exchange.header('tulle-attempt'), undefined);
  assert.equal(takeMarks(exchange, true), UNMARKED);
});

test('a stranger that sets itself a deadline, to have the endpoint blamed, is not heard', () => {
  const exchange = exchangeFor('/', ['tulle-timeout-ms: 1', 'tulle-attempt: 9']);
  assert.equal(takeMarks(exchange, false), UNMARKED);
  assert.equal(exchange.header('tulle-timeout-ms'), undefined);
  assert.equal(exchange.header('tulle-attempt'), undefined);
});

test('what is no number says nothing', () => {
  for (const odd of ['', '-1', '1.5', '1e3', '99999999999', '0x10', '4294967296']) {
    const exchange = exchangeFor('/', [`tulle-timeout-ms: ${odd}`, `tulle-attempt: ${odd || 'x'}`]);
    assert.deepEqual(takeMarks(exchange, true), UNMARKED, odd);
  }
  const over = exchangeFor('/', ['tulle-timeout-ms: 0'], { startMs: 7 });
  assert.equal(takeMarks(over, true).deadlineMs, 7, 'none is left');
});

test('of two, the nearer deadline and the later attempt hold', () => {
  const one = { attempt: 1, deadlineMs: 500 };
  assert.deepEqual(joined(one, { attempt: 3, deadlineMs: 700 }), { attempt: 3, deadlineMs: 500 });
});

test("the deadline that a mesh peer sets a gRPC call holds for what is called for it, a stranger's does not", () => {
  const lines = ['content-type: application/grpc', 'grpc-timeout: 3S'];
  const exchange = exchangeFor('/', lines, { startMs: 1000 });
  assert.equal(takeMarks(exchange, true), UNMARKED, 'it is no gRPC');
  exchange.grpc = true;
  assert.equal(takeMarks(exchange, false), UNMARKED);
  assert.deepEqual(takeMarks(exchange, true), { attempt: 1, deadlineMs: 4000 });
  assert.equal(exchange.header('grpc-timeout'), '3S', 'it is for the application too');
  const both = exchangeFor('/', [...lines, 'tulle-timeout-ms: 250'], { startMs: 1000 });
  both.grpc = true;
  assert.deepEqual(takeMarks(both, true), { attempt: 1, deadlineMs: 1250 });
});

test('an attempt that connects until its hedge has begun is the first all the same', () => {
  const exchange = exchangeFor('/', []);
  const [first, hedge] = ['a', 'b'].map((endpoint) => ({
    endpoint,
    startMs: 0,
    durationMs: 0,
    result: '',
    connectionReused: false,
  }));
  if (first === undefined || hedge === undefined) assert.fail('there are two');
  exchange.attempts.push(first, hedge);
  assert.equal(attemptFields(exchange, first, UNMARKED, NO_DEADLINE, true), '');
  assert.equal(attemptFields(exchange, hedge, UNMARKED, NO_DEADLINE, true), 'tulle-attempt: 2\r\n');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headOf } from '../../test/fixture/request-exchange.ts';
import { retryLaterMs } from './retry-later.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

function asked(status: number, ...lines: string[]): number {
  const fields = lines.map((line) => `${line}\r\n`).join('');
  return retryLaterMs(headOf('response', `HTTP/1.1 ${status} X\r\n${fields}\r\n`), NOW);
}

test('429 and 503 with Retry-After, in seconds or as a date', () => {
  assert.equal(asked(429, 'Retry-After: 3'), 3_000);
  assert.equal(asked(503, 'Retry-After: 3'), 3_000);
  assert.equal(asked(503, 'Retry-After: Thu, 01 Jan 2026 00:00:07 GMT'), 7_000);
});

test('gRPC says it by its status', () => {
  assert.equal(asked(200, 'grpc-status: 8', 'Retry-After: 3'), 3_000);
  assert.equal(asked(200, 'grpc-status: 14', 'grpc-retry-pushback-ms: 250'), 250);
  assert.equal(asked(200, 'grpc-status: 5', 'Retry-After: 3'), 0);
  assert.equal(asked(200, 'grpc-status: 0'), 0);
});

test('other answers ask for nothing', () => {
  assert.equal(asked(429), 0);
  assert.equal(asked(500, 'Retry-After: 3'), 0);
  assert.equal(asked(301, 'Retry-After: 3'), 0);
  for (const value of ['', '-1', 'soon', '0', 'Thu, 01 Jan 1970 00:00:00 GMT'])
    assert.equal(asked(429, `Retry-After: ${value}`), 0, value);
});

test('an endpoint that asks for a year, to be rid of its work for good, is spared for a minute', () => {
  assert.equal(asked(429, 'Retry-After: 31536000'), 60_000);
  assert.equal(asked(503, 'Retry-After: Fri, 01 Jan 2100 00:00:00 GMT'), 60_000);
  assert.equal(asked(200, 'grpc-status: 8', 'grpc-retry-pushback-ms: 999999999'), 60_000);
});

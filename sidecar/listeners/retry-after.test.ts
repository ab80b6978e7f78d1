import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headOf } from '../../test/fixture/request-exchange.ts';
import { askedPauseMs, NEVER } from './retry-after.ts';

const NOW = Date.parse('Sun, 29 Nov 2026 05:00:00 GMT');

/** A response head with these header lines. */
function head(status: number, ...lines: string[]) {
  const fields = lines.map((line) => `${line}\r\n`).join('');
  return headOf('response', `HTTP/1.1 ${status} Some\r\n${fields}\r\n`);
}

const asked = (status: number, value: string) =>
  askedPauseMs(head(status, `Retry-After: ${value}`), false, NOW);

test('Retry-After of a 429 or 503 is seconds, or a date', () => {
  assert.equal(asked(503, '3'), 3000);
  assert.equal(asked(429, '0'), 0);
  assert.equal(asked(429, 'Sun, 29 Nov 2026 05:00:07 GMT'), 7000);
  assert.equal(asked(503, 'Sun, 29 Nov 2026 04:00:00 GMT'), 0, 'a date that is past');
});

test('what is no Retry-After asks for nothing, and neither does one of another status', () => {
  for (const odd of ['', 'soon', '-1', '1.5', '1e3', 'Nov 2027', '1234567890', '3 s'])
    assert.equal(asked(503, odd), 0, odd);
  assert.equal(asked(500, '3'), 0);
  assert.equal(askedPauseMs(head(503), false, NOW), 0);
});

test('a gRPC server says by grpc-retry-pushback-ms how long, or that there is to be no other attempt', () => {
  const pushback = (value: string) => askedPauseMs(head(200, `grpc-retry-pushback-ms: ${value}`), true, NOW);
  assert.equal(pushback('250'), 250);
  assert.equal(pushback('-1'), NEVER);
  assert.equal(pushback('soon'), NEVER);
  assert.equal(askedPauseMs(head(200, 'retry-after: 3'), true, NOW), 0);
});

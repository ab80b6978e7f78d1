import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRetries } from '../../protocol/annotations/retries.ts';
import { REASONS, type Reason } from '../../protocol/reasons.ts';
import { grpcCondition, grpcMessage, grpcStatusOf } from './grpc-status.ts';

const statusOf = (status: number, code: Reason) => grpcStatusOf({ status, code, detail: '' });

test('a reason says more than its HTTP status', () => {
  for (const [status, code, grpc] of [
    [504, 'request-timeout', 4],
    [504, 'try-timeout', 4],
    [503, 'pool-full', 8],
    [404, 'no-route', 12],
    [404, 'no-service', 12],
    [502, 'upstream-framing', 13],
  ] as const)
    assert.equal(statusOf(status, code), grpc, code);
});

test('other reasons have the gRPC status of their HTTP status, as the gRPC project maps it', () => {
  for (const [status, code, grpc] of [
    [503, 'no-endpoint', 14],
    [503, 'connect-failed', 14],
    [502, 'upstream-reset', 14],
    [403, 'not-allowed', 7],
    [302, 'redirect', 2],
    [500, 'upstream-reset', 2],
  ] as const)
    assert.equal(statusOf(status, code), grpc, `${status} ${code}`);
});

test('no failure of Tulle is told as success', () => {
  for (const code of Object.keys(REASONS) as Reason[]) // its keys are the reasons
    for (const status of [302, 400, 403, 404, 408, 429, 500, 503])
      assert.notEqual(statusOf(status, code), 0, code);
});

test('a message is percent-encoded: an attacker ends no line, and the words come back', () => {
  assert.equal(grpcMessage('plain words, 1 ~ 2'), 'plain words, 1 ~ 2');
  assert.equal(grpcMessage('100%\r\nx: é☃😀\x7f'), '100%25%0D%0Ax: %C3%A9%E2%98%83%F0%9F%98%80%7F');
  for (const text of ['', '%', '%41', 'a\0b', '\u{10ffff}', ' lead and trail '])
    assert.equal(decodeURIComponent(grpcMessage(text)), text);
  assert.match(grpcMessage('a half \ud83d of a pair'), /^[\x20-\x7e]*$/);
});

test('the statuses that may be retried have the names that a policy uses, others none', () => {
  const named = new Map<number, string>();
  for (let status = -1; status < 20; status++) {
    const condition = grpcCondition(status);
    if (condition === undefined) continue;
    named.set(status, condition);
    assert.deepEqual(parseRetries(`1 on ${condition}`), { retries: { attempts: 1, on: [condition] } });
  }
  assert.deepEqual(
    [...named],
    [
      [1, 'cancelled'],
      [4, 'deadline-exceeded'],
      [8, 'resource-exhausted'],
      [13, 'internal'],
      [14, 'unavailable'],
    ],
  );
  assert.equal(grpcCondition(Number.NaN), undefined);
});

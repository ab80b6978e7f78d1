import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describe, type Explanation } from './explanation.ts';

function explanation(more: Partial<Explanation> = {}): Explanation {
  return {
    id: 'id-1',
    at: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
    listener: 'outbound',
    peer: '',
    peerAddress: '10.0.0.9:4000',
    method: 'GET',
    host: 'orders',
    path: '/a',
    route: '',
    routeWhy: '',
    service: '',
    attempts: [],
    policies: [],
    status: 200,
    reason: '',
    detail: '',
    durationMs: 12.34,
    requestBytes: 0,
    responseBytes: 0,
    mtls: false,
    ...more,
  };
}

test('a plain request takes two lines', () => {
  assert.equal(
    describe(explanation()),
    'Request id-1 (outbound): GET orders/a -> 200 in 12.3 ms\n  at 2026-01-02T03:04:05.006Z, sent in plain text\n',
  );
});

test('all that is known has a line each, in the order in which it happened', () => {
  const text = describe(
    explanation({
      mtls: true,
      routeWhy: 'rule 1 of shop/orders: path prefix /',
      service: 'shop/orders',
      policies: [{ policy: 'retries', decision: 'retried', detail: 'on connect: retry 1 of 2' }],
      attempts: [
        {
          endpoint: '10.0.0.1:80',
          startMs: 0,
          durationMs: 1,
          result: 'connect-failed',
          connectionReused: false,
        },
        { endpoint: '10.0.0.2:80', startMs: 1.25, durationMs: 9, result: '503', connectionReused: true },
      ],
      status: 503,
      reason: 'pool-full',
      detail: 'words',
      requestBytes: 5,
      responseBytes: 7,
    }),
  );
  assert.deepEqual(text.split('\n'), [
    'Request id-1 (outbound): GET orders/a -> 503 in 12.3 ms',
    '  at 2026-01-02T03:04:05.006Z, sent by mTLS',
    '  route: rule 1 of shop/orders: path prefix /',
    '  service: shop/orders',
    '  policy retries retried: on connect: retry 1 of 2',
    '  attempt 1: 10.0.0.1:80 at +0.0 ms -> connect-failed after 1.0 ms (new connection)',
    '  attempt 2: 10.0.0.2:80 at +1.3 ms -> 503 after 9.0 ms (kept connection)',
    '  bodies: 5 bytes of request, 7 bytes of response',
    '  reason pool-full: words',
    '  more: docs/reasons.md#pool-full',
    '',
  ]);
});

test('a caller is named by its identity, else its address, else not at all', () => {
  const from = (more: Partial<Explanation>) =>
    describe(explanation({ listener: 'inbound', ...more })).split('\n')[1];
  assert.match(from({ peer: 'shop/web', mtls: true }) ?? '', /, from shop\/web by mTLS$/);
  assert.match(from({}) ?? '', /, from 10\.0\.0\.9:4000 in plain text$/);
  assert.match(from({ peerAddress: '' }) ?? '', /, from an unknown caller in plain text$/);
});

test('a request without an answer says so', () => {
  assert.match(describe(explanation({ status: 0 })), / -> no response in /);
});

test('other requests of the same id follow, each with a blank line before it', () => {
  const text = describe(
    explanation({ others: [explanation({ path: '/b' }), explanation({ path: '/c', status: 500 })] }),
  );
  const [first = '', second = '', third = '', ...more] = text.split('\n\n');
  assert.deepEqual(more, []);
  assert.match(first, /^Request .* orders\/a -> 200/);
  assert.match(second, /^Request .* orders\/b -> 200/);
  assert.match(third, /^Request .* orders\/c -> 500/);
});

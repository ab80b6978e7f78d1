import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DirectResponse } from '../../protocol/steering.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import { directResponse } from './direct-response.ts';

const unused = { resume: () => assert.fail(), answer: () => assert.fail() };

function answer(response: DirectResponse) {
  const exchange = exchangeFor('/');
  exchange.routeWhy = 'why';
  return directResponse(response).onRequest?.(exchange, unused);
}

test('the answer has the status, headers and body of the policy', () => {
  const headers = [
    ['Retry-After', '120'],
    ['Content-Type', 'text/html'],
  ] as const;
  assert.deepEqual(answer({ status: 503, headers, body: 'soon' }), {
    status: 503,
    code: 'direct-response',
    fields: 'Retry-After: 120\r\n',
    body: { type: 'text/html', text: 'soon', bytes: 'soon' },
    detail: 'why',
  });
});

test('a body is UTF-8, and its length is counted in bytes', () => {
  const made = answer({ status: 200, grpcStatus: 5, headers: [], body: 'schön' });
  assert.ok(typeof made === 'object');
  assert.equal(made.grpcStatus, 5);
  assert.equal(made.body?.type, 'text/plain; charset=utf-8');
  assert.equal(Buffer.from(made.body?.bytes ?? '', 'latin1').toString(), 'schön');
  assert.equal(made.body?.bytes.length, 6);
});

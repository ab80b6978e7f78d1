import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASONS } from '../../protocol/reasons.ts';
import { exchangeFor, headOf } from '../../test/fixture/request-exchange.ts';
import type { LocalAnswer } from '../exchange.ts';
import { localResponse } from './local-response.ts';

const ANSWER: LocalAnswer = { status: 503, code: 'no-endpoint', detail: 'shop/orders has no endpoint' };

function made(answer = ANSWER, { method = 'GET', id = 'id-1', close = false, tellsAll = true } = {}) {
  const exchange = exchangeFor('/', [], { method });
  exchange.id = id;
  const text = localResponse(exchange, answer, close, tellsAll);
  const end = text.indexOf('\r\n\r\n') + 4;
  return { text, head: headOf('response', text), body: text.slice(end) };
}

test('the answer is problem details, with the reason as a header', () => {
  const { text, head, body } = made();
  assert.ok(text.startsWith('HTTP/1.1 503 Service Unavailable\r\n'));
  assert.deepEqual(
    [head.get('content-type'), head.get('tulle-reason'), head.get('x-request-id'), head.close],
    ['application/problem+json', 'no-endpoint', 'id-1', false],
  );
  assert.deepEqual(JSON.parse(body), {
    type: 'https://tulle.dev/reasons#no-endpoint',
    title: REASONS['no-endpoint'],
    status: 503,
    code: 'no-endpoint',
    detail: 'shop/orders has no endpoint',
    requestId: 'id-1',
  });
});

test('strangers get the code but not the words', () => {
  const { text, body } = made(ANSWER, { tellsAll: false });
  assert.ok(!text.includes('shop/orders'));
  const problem = JSON.parse(body) as Record<string, unknown>;
  assert.deepEqual([problem.code, problem.detail, problem.requestId], ['no-endpoint', undefined, 'id-1']);
});

test('the length is that of the bytes, whatever the words', () => {
  for (const detail of ['', 'plain', 'sn\u00f6w \u2603 \u{1f600}', '\0\x7f\u2028', 'x'.repeat(5000), '"\\']) {
    const { text, head, body } = made({ ...ANSWER, detail });
    assert.equal(head.length, Buffer.byteLength(body, 'latin1'), detail);
    assert.match(text, /^[\r\n\x20-\x7e]*$/);
    assert.equal((JSON.parse(body) as { detail: string }).detail, detail);
  }
});

test('an attacker whose host or path is told in the words writes no header lines and no second response', () => {
  const { text, head } = made({ ...ANSWER, detail: 'x\r\n\r\nHTTP/1.1 200 OK\r\nset-cookie: a=b\r\n\r\n' });
  assert.equal(text.split('\r\n\r\n').length, 2);
  assert.equal(head.get('set-cookie'), undefined);
});

test('an answer to HEAD tells the length and has no body', () => {
  const toHead = made(ANSWER, { method: 'HEAD' });
  assert.equal(toHead.body, '');
  assert.equal(toHead.head.length, made().body.length);
});

test('the last answer of a connection says so, and further fields are given', () => {
  const { head } = made(
    { ...ANSWER, status: 302, code: 'redirect', fields: 'location: /b\r\n' },
    { close: true },
  );
  assert.equal(head.close, true);
  assert.equal(head.get('location'), '/b');
});

test('a request without an id is answered without one', () => {
  const { head, body } = made(ANSWER, { id: '' });
  assert.equal(head.get('x-request-id'), undefined);
  assert.ok(!('requestId' in (JSON.parse(body) as object)));
});

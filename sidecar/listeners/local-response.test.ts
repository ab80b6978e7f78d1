import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REASONS } from '../../protocol/reasons.ts';
import { exchangeFor } from '../../test/fixture/request-exchange.ts';
import type { LocalAnswer } from '../exchange.ts';
import { fieldsOf } from '../http/field.ts';
import { localResponse } from './local-response.ts';

const ANSWER: LocalAnswer = { status: 503, code: 'no-endpoint', detail: 'shop/orders has no endpoint' };

function made(answer = ANSWER, { id = 'id-1', tellsAll = true, grpc = false } = {}) {
  const exchange = exchangeFor();
  exchange.id = id;
  exchange.grpc = grpc;
  const { status, fields, body } = localResponse(exchange, answer, tellsAll);
  return { status, fields, body, get: (name: string) => valuesOf(fields, name).join() };
}

function valuesOf(fields: string, name: string): string[] {
  return fieldsOf(fields)
    .filter((field) => field.name === name)
    .map(({ value }) => value);
}

test('the answer is problem details, with the reason as a header', () => {
  const { status, fields, body, get } = made();
  assert.equal(status, 503);
  assert.match(fields, /\r\n$/);
  assert.deepEqual(
    [get('content-type'), get('tulle-reason'), get('x-request-id')],
    ['application/problem+json', 'no-endpoint', 'id-1'],
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
  const { fields, body } = made(ANSWER, { tellsAll: false });
  assert.ok(!(fields + body).includes('shop/orders'));
  const problem = JSON.parse(body) as Record<string, unknown>;
  assert.deepEqual([problem.code, problem.detail, problem.requestId], ['no-endpoint', undefined, 'id-1']);
});

test('the body is ASCII, whatever the words: its length in bytes is its length', () => {
  for (const detail of ['', 'plain', 'sn\u00f6w \u2603 \u{1f600}', '\0\x7f\u2028', 'x'.repeat(5000), '"\\']) {
    const { fields, body } = made({ ...ANSWER, detail });
    assert.match(body, /^[\n\x20-\x7e]*$/);
    assert.match(fields, /^[\r\n\x20-\x7e]*$/);
    assert.equal((JSON.parse(body) as { detail: string }).detail, detail);
  }
});

test('a body that a policy gives takes the place of problem details, and is the message of a gRPC status', () => {
  const body = { type: 'text/html', text: 'zurück', bytes: 'zur\u00c3\u00bcck' };
  const answer: LocalAnswer = { status: 503, code: 'direct-response', detail: 'secret', body };
  const page = made(answer, { tellsAll: false });
  assert.deepEqual([page.status, page.body, page.get('content-type')], [503, body.bytes, 'text/html']);
  assert.equal(page.get('tulle-reason'), 'direct-response');
  const empty = made({ ...answer, body: { ...body, text: '', bytes: '' } });
  assert.deepEqual([empty.body, empty.get('content-type')], ['', '']);
  const call = made({ ...answer, grpcStatus: 8 }, { grpc: true, tellsAll: false });
  assert.deepEqual(
    [call.get('grpc-status'), call.get('grpc-message'), call.get('content-type'), call.body],
    ['8', 'zur%C3%BCck', 'application/grpc', ''],
  );
});

const SPLITTING = 'x\r\n\r\nHTTP/1.1 200 OK\r\nset-cookie: a=b\r\n\r\n';

test('an attacker whose host or path is told in the words writes no header lines and no second response', () => {
  for (const grpc of [false, true]) {
    const { fields, body, get } = made({ ...ANSWER, detail: SPLITTING }, { grpc });
    assert.equal(get('set-cookie'), '');
    assert.ok(!fields.includes('\r\n\r\n'));
    assert.ok(!body.includes('\r'));
  }
});

test('further fields are given', () => {
  const redirect = { ...ANSWER, status: 302, code: 'redirect', fields: 'location: /b\r\n' } as const;
  assert.equal(made(redirect).get('location'), '/b');
  assert.equal(made(redirect).status, 302);
});

test('a request without an id is answered without one', () => {
  const { body, get } = made(ANSWER, { id: '' });
  assert.equal(get('x-request-id'), '');
  assert.ok(!('requestId' in (JSON.parse(body) as object)));
});

test('a gRPC call is answered by a head that holds its status, without a body', () => {
  const { status, body, get } = made({ ...ANSWER, detail: 'no "é" at 100%' }, { grpc: true });
  assert.deepEqual([status, body], [200, '']);
  assert.deepEqual(['content-type', 'grpc-status', 'grpc-message', 'tulle-reason', 'x-request-id'].map(get), [
    'application/grpc',
    '14',
    'no "%C3%A9" at 100%25',
    'no-endpoint',
    'id-1',
  ]);
});

test('a stranger who calls by gRPC gets the meaning of the code but not the words', () => {
  const { fields, get } = made(ANSWER, { grpc: true, tellsAll: false });
  assert.ok(!fields.includes('shop/orders'));
  assert.equal(get('grpc-message'), REASONS['no-endpoint']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Field } from '../http/field.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { UNKNOWN_LENGTH } from '../http/message-head.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import { checkTrailers, readRequestHead, readResponseHead } from './head-rules.ts';
import { Http2Head } from './http2-head.ts';

type Pairs = readonly (readonly [string, string])[];

const GET: Pairs = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'app'],
  [':path', '/'],
];

function headOf(fields: Pairs): Http2Head {
  return new Http2Head(fields.map(([name, value]) => new Field(name, value)));
}

function request(fields: Pairs, ends = true): { head: Http2Head; problem: MessageProblem | undefined } {
  const head = headOf(fields);
  return { head, problem: readRequestHead(head, ends, DEFAULT_LIMITS) };
}

function without(name: string, ...more: (readonly [string, string])[]): Pairs {
  return [...GET.filter(([known]) => known !== name), ...more];
}

test('a request head is read', () => {
  const { head, problem } = request(
    [...GET, ['x-request-id', 'r'], ['content-length', '7'], ['a', 'b']],
    false,
  );
  assert.equal(problem, undefined);
  const { method, target, authority, scheme, requestId, bodyLength, count, upgrade } = head;
  assert.deepEqual(
    { method, target, authority, scheme, requestId, bodyLength, count, upgrade },
    {
      method: 'GET',
      target: '/',
      authority: 'app',
      scheme: 'http',
      requestId: 'r',
      bodyLength: 7,
      count: 3,
      upgrade: '',
    },
  );
  assert.equal(request(GET, false).head.bodyLength, UNKNOWN_LENGTH);
  assert.equal(request(GET).head.bodyLength, 0);
});

const MALFORMED: Record<string, Pairs> = {
  'an upper-case name': [...GET, ['X-A', 'b']],
  'a name with a space': [...GET, ['x a', 'b']],
  'an empty name': [...GET, ['', 'b']],
  'a line break smuggled in a value': [...GET, ['a', 'b\r\nevil: 1']],
  'a NUL in a value': [...GET, ['a', 'b\0']],
  'white space before a value': [...GET, ['a', ' b']],
  'white space after a value': [...GET, ['a', 'b\t']],
  'connection: close': [...GET, ['connection', 'close']],
  'transfer-encoding: chunked, for an HTTP/1.1 server behind': [...GET, ['transfer-encoding', 'chunked']],
  upgrade: [...GET, ['upgrade', 'h2c']],
  'keep-alive': [...GET, ['keep-alive', '1']],
  'proxy-connection': [...GET, ['proxy-connection', 'x']],
  'te: gzip': [...GET, ['te', 'trailers, gzip']],
  'an unknown pseudo-header field': [[':x', 'y'], ...GET],
  'a late pseudo-header field': [...without(':path'), ['a', 'b'], [':path', '/']],
  'a doubled :path': [...GET, [':path', '/admin']],
  'a response pseudo-header field': [...GET, [':status', '200']],
  'no :method': without(':method'),
  'no :scheme': without(':scheme'),
  'no :path': without(':path'),
  'an empty :path': without(':path', [':path', '']),
  'a :path with a space, a second request line behind': without(':path', [':path', '/ HTTP/1.1']),
  'a :path that is no path': without(':path', [':path', 'http://other/']),
  '* for GET': without(':path', [':path', '*']),
  'a :method with a space': without(':method', [':method', 'GET /']),
  'userinfo in :authority': without(':authority', [':authority', 'me@app']),
  'a host that differs from :authority': [...GET, ['host', 'other']],
  'two hosts without :authority': without(':authority', ['host', 'a'], ['host', 'b']),
  'two lengths': [...GET, ['content-length', '0'], ['content-length', '0']],
  'a length that is no number': [...GET, ['content-length', '+1']],
  'a length, and no data': [...GET, ['content-length', '1']],
  ':protocol without CONNECT': [[':protocol', 'websocket'], ...GET],
  'CONNECT with a :path': without(':method', [':method', 'CONNECT']),
  'CONNECT without :authority': [[':method', 'CONNECT']],
};

for (const [what, fields] of Object.entries(MALFORMED)) {
  test(`malformed: ${what}`, () => assert.equal(request(fields).problem?.status, 400));
}

test('host stands for :authority, and is not passed on', () => {
  const { head, problem } = request(without(':authority', ['host', 'app:80']));
  assert.equal(problem, undefined);
  assert.equal(head.authority, 'app:80');
  assert.equal(head.get('host'), 'app:80');
  assert.equal(head.keeps(0), false);
  assert.equal(request([...GET, ['host', 'APP']]).problem, undefined);
});

test('te: trailers is passed on', () => {
  const { head } = request([...GET, ['te', 'trailers']]);
  assert.ok(head.keeps(0));
});

test('a cookie in crumbs is one for HTTP/1.1, and as it came for HTTP/2', () => {
  const { head } = request([...GET, ['cookie', 'a=1'], ['x', 'y'], ['cookie', 'b=2'], ['cookie', 'c=3']]);
  assert.equal(head.get('cookie'), 'a=1; b=2; c=3');
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => head.keeps(index)),
    [true, true, false, false],
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => head.keepsField(index)),
    [true, true, true, true],
  );
  head.remove('cookie');
  assert.equal(head.get('cookie'), undefined);
  assert.deepEqual(
    [0, 1, 2, 3].map((index) => head.keepsField(index)),
    [false, true, false, false],
  );
});

test('a target that is too long is answered, and CONNECT too', () => {
  const long = `/${'a'.repeat(DEFAULT_LIMITS.targetBytes)}`;
  assert.equal(request(without(':path', [':path', long])).problem?.status, 414);
  assert.equal(
    request([
      [':method', 'CONNECT'],
      [':authority', 'a:1'],
    ]).problem?.status,
    501,
  );
});

test('extended CONNECT has no body but its tunnel', () => {
  const { head, problem } = request(
    [...without(':method', [':method', 'CONNECT']), [':protocol', 'websocket']],
    false,
  );
  assert.equal(problem, undefined);
  assert.equal(head.upgrade, 'websocket');
  assert.equal(head.bodyLength, 0);
});

test('HTTP within a tunnel, past all policies (h2c smuggling), is refused', () => {
  for (const protocol of ['h2c', 'H2C', 'h2', 'h2c-14', 'HTTP']) {
    const fields: Pairs = [...without(':method', [':method', 'CONNECT']), [':protocol', protocol]];
    assert.equal(request(fields, false).problem?.status, 501, protocol);
  }
});

test('a response to HEAD, 204 and 304 have no body whatever their length says', () => {
  const fields: Pairs = [
    [':status', '200'],
    ['content-length', '9'],
  ];
  const head = headOf(fields);
  assert.equal(readResponseHead(head, true, true), undefined);
  assert.equal(head.bodyLength, 0);
  assert.equal(readResponseHead(headOf(fields), true, false)?.code, 'bad-framing');
  const unchanged = headOf([
    [':status', '304'],
    ['content-length', '9'],
  ]);
  assert.equal(readResponseHead(unchanged, true, false), undefined);
  assert.equal(unchanged.bodyLength, 0);
});

test('a response without one plain :status is malformed', () => {
  for (const fields of [
    [['a', 'b']],
    [[':status', '99']],
    [[':status', '2000']],
    [
      [':status', '200'],
      [':status', '200'],
    ],
    [[':status', '101']],
  ] as Pairs[])
    assert.equal(readResponseHead(headOf(fields), false, false)?.status, 400, JSON.stringify(fields));
});

test('trailers neither frame nor route a message', () => {
  const trailers = (...fields: Pairs): MessageProblem | undefined => checkTrailers(headOf(fields).fields);
  assert.equal(trailers(['grpc-status', '0']), undefined);
  for (const name of [':path', ':status', 'content-length', 'host', 'transfer-encoding', 'connection'])
    assert.equal(trailers([name, '1'])?.code, 'bad-framing', name);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headOf } from '../../test/fixture/request-exchange.ts';
import { streamHead } from '../../test/fixture/stream-head.ts';
import { UNKNOWN_LENGTH } from '../http/message-head.ts';
import type { Head } from './head.ts';
import { framingOf, statusAndFields, switches, switchingText } from './response-text.ts';

const asked = (method = 'GET', version = '1.1') =>
  headOf('request', `${method} / HTTP/${version}\r\nHost: h\r\n\r\n`);

/** The example of RFC 6455 section 1.3. */
const webSocket = (key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n') =>
  headOf('request', `GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n${key}\r\n`);

test('the status line of HTTP/1.1 keeps its phrase, that of HTTP/1.0 becomes 1.1', () => {
  assert.equal(
    statusAndFields(headOf('response', 'HTTP/1.0 200 Just Fine\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\n\r\n')),
    'HTTP/1.1 200 Just Fine\r\nX-A: 1\r\n',
  );
});

test('a response of HTTP/2 gets the phrase of its status', () => {
  assert.equal(
    statusAndFields(streamHead({ status: 404, lines: [['x-a', '1']] })),
    'HTTP/1.1 404 Not Found\r\nx-a: 1\r\n',
  );
});

const plain = { fields: '', encode: false, close: false };
const encode = { fields: 'transfer-encoding: chunked\r\n', encode: true, close: false };
const untilEnd = { fields: '', encode: false, close: true };

const LENGTH = 'Content-Length: 2\r\n';
const CHUNKED = 'Transfer-Encoding: chunked\r\n';

test('the framing of HTTP/1.1 is kept for HTTP/1.1, but a body until the close is put into chunks', () => {
  for (const [fields, eleven, ten] of [
    [LENGTH, plain, plain],
    [CHUNKED, plain, untilEnd],
    ['', encode, untilEnd],
  ] as const) {
    const response = () => headOf('response', `HTTP/1.1 200 OK\r\n${fields}\r\n`);
    assert.deepEqual(framingOf(response(), asked()), eleven, fields);
    assert.deepEqual(framingOf(response(), asked('GET', '1.0')), ten, fields);
  }
});

test('HTTP/1.0 is not told of chunks that it does not get', () => {
  const response = headOf('response', `HTTP/1.1 200 OK\r\n${CHUNKED}\r\n`);
  framingOf(response, asked('GET', '1.0'));
  assert.equal(statusAndFields(response), 'HTTP/1.1 200 OK\r\n');
});

test('a response of HTTP/2 is framed by its length, by chunks, or by the close for HTTP/1.0', () => {
  const known = streamHead({ status: 200, lines: [['content-length', '2']], bodyLength: 2 });
  const unknown = streamHead({ status: 200, bodyLength: UNKNOWN_LENGTH });
  for (const [head, request, framing] of [
    [known, asked(), plain],
    [known, asked('GET', '1.0'), plain],
    [unknown, asked(), encode],
    [unknown, asked('GET', '1.0'), untilEnd],
    [unknown, asked('HEAD'), plain],
    [streamHead({ status: 204, bodyLength: UNKNOWN_LENGTH }), asked(), plain],
    [streamHead({ status: 304, bodyLength: UNKNOWN_LENGTH }), asked(), plain],
  ] as const)
    assert.deepEqual(framingOf(head, request), framing);
});

test('a 101 of HTTP/1.1 says what it switches to', () => {
  const head = headOf(
    'response',
    'HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: theirs\r\n\r\n',
  );
  assert.equal(
    switchingText(head, webSocket(), 'x-a: 1\r\n'),
    'HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: theirs\r\nx-a: 1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  );
});

test('a 200 of HTTP/2 becomes a 101 that proves that the key was seen (the example of RFC 6455)', () => {
  const head = streamHead({ status: 200, lines: [['sec-websocket-protocol', 'chat']] });
  assert.equal(
    switchingText(head, webSocket(), ''),
    'HTTP/1.1 101 Switching Protocols\r\nsec-websocket-protocol: chat\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
      'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
  );
  assert.ok(!switchingText(head, webSocket(''), '').includes('sec-websocket-accept'));
});

test('protocols are switched by 101, or by 200 of HTTP/2 to a request that asked for it, and by nothing else', () => {
  const ok1 = headOf('response', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  const rows: [head: Parameters<typeof switches>[0], request: Head, expected: boolean][] = [
    [headOf('response', 'HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n'), webSocket(), true],
    [streamHead({ status: 200 }), webSocket(), true],
    [streamHead({ status: 200 }), asked(), false],
    [streamHead({ status: 201 }), webSocket(), false],
    [streamHead({ status: 403 }), webSocket(), false],
    [ok1, webSocket(), false],
  ];
  for (const [head, request, expected] of rows)
    assert.equal(switches(head, request), expected, `${head.version} ${head.status}`);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headOf } from '../../test/fixture/request-exchange.ts';
import { streamHead } from '../../test/fixture/stream-head.ts';
import { fieldLines } from './field-lines.ts';

test('lines of HTTP/1.1 are passed on as they came, without those of the connection', () => {
  const head = headOf(
    'request',
    'GET / HTTP/1.1\r\nHost: h\r\nX-A:  1\r\nConnection: x-b\r\nX-B: 1\r\nCookie: a\r\nCookie: b\r\n\r\n',
  );
  assert.equal(fieldLines(head), 'Host: h\r\nX-A:  1\r\nCookie: a\r\nCookie: b\r\n');
});

test('lines of HTTP/2 are passed on in their order, without Host, TE and what was removed', () => {
  const head = streamHead({
    lines: [
      ['b', '2'],
      ['host', 'other'],
      ['te', 'trailers'],
      ['x-secret', '1'],
      ['a', ''],
      ['b', '3'],
    ],
  });
  head.remove('x-secret');
  assert.equal(fieldLines(head), 'b: 2\r\na: \r\nb: 3\r\n');
});

test('cookies that HTTP/2 split are one line for HTTP/1.1, in their order', () => {
  const head = streamHead({
    lines: [
      ['cookie', 'a=1'],
      ['x', 'y'],
      ['cookie', 'b=2'],
      ['cookie', 'c=3; d=4'],
    ],
  });
  assert.equal(fieldLines(head), 'x: y\r\ncookie: a=1; b=2; c=3; d=4\r\n');
  head.remove('cookie');
  assert.equal(fieldLines(head), 'x: y\r\n');
});

test('an empty cookie before another leaves no separator behind that was not there', () => {
  const lines = [
    ['cookie', ''],
    ['cookie', 'a=1'],
  ] as const;
  assert.equal(fieldLines(streamHead({ lines })), 'cookie: a=1\r\n');
});

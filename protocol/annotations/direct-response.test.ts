import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDirectResponse } from './direct-response.ts';

test('a status, alone or with a body', () => {
  assert.deepEqual(parseDirectResponse('404'), { directResponse: { status: 404, headers: [], body: '' } });
  assert.deepEqual(parseDirectResponse(' 503 Back at ten'), {
    directResponse: { status: 503, headers: [], body: 'Back at ten' },
  });
  assert.deepEqual(parseDirectResponse('unavailable Back at ten'), {
    directResponse: { status: 503, grpcStatus: 14, headers: [], body: 'Back at ten' },
  });
  assert.deepEqual(parseDirectResponse('off'), { unset: 'directResponse' });
});

test('headers stand in lines of their own, and the body after an empty line', () => {
  assert.deepEqual(
    parseDirectResponse('503\nRetry-After: 120\nContent-Type: text/html\n\n<h1>Back</h1>\n\nsoon\n'),
    {
      directResponse: {
        status: 503,
        headers: [
          ['Retry-After', '120'],
          ['Content-Type', 'text/html'],
        ],
        body: '<h1>Back</h1>\n\nsoon\n',
      },
    },
  );
  assert.deepEqual(parseDirectResponse('302\r\nlocation: /a\r\n'), {
    directResponse: { status: 302, headers: [['location', '/a']], body: '' },
  });
});

test('what would break the framing of a response, or ends a header line early, is refused', () => {
  for (const text of [
    '',
    'Back at ten',
    '99',
    '100',
    '199',
    '304',
    '600',
    '204 body',
    '200\ncontent-length: 5\n\nhello',
    '200\nTransfer-Encoding: chunked',
    '200\nno header',
    '200\nx: a\u0000b',
    '200\nx: a\rset-cookie: b',
    '200\nx y: z',
    '200 short\n\nlong',
    `200\n${'a: b\n'.repeat(65)}`,
  ])
    assert.ok('wrong' in parseDirectResponse(text), JSON.stringify(text));
});

test('an attacker who writes a header of nothing but blanks stops nobody who reads it', () => {
  for (const end of ['', '\rx', '\u2028'])
    assert.ok('wrong' in parseDirectResponse(`503\na:${' '.repeat(100_000)}${end}b\u0000`), end);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChunkedReader, MALFORMED, NEED_MORE } from './chunked.ts';
import { DEFAULT_LIMITS } from './limits.ts';

function read(text: string, verbatim: boolean, step = text.length) {
  const reader = new ChunkedReader(DEFAULT_LIMITS);
  reader.reset(verbatim);
  const bytes = Buffer.from(text, 'latin1');
  let out = '';
  const sink = (from: Buffer, start: number, end: number) => {
    out += from.toString('latin1', start, end);
  };
  for (let at = 0; at < bytes.length; at += step) {
    const stop = reader.feed(bytes, at, Math.min(bytes.length, at + step), sink);
    if (stop !== NEED_MORE) return { out, stop, reader };
  }
  return { out, stop: NEED_MORE, reader };
}

const BODY = '5\r\nhello\r\n1;ext="a b"\r\n!\r\n0b\r\n01234567890\r\n0;last\r\nX-Sum: 1\r\n\r\n';
const BODY_WITHOUT_EXTENSIONS = '5\r\nhello\r\n1\r\n!\r\n0b\r\n01234567890\r\n0\r\nX-Sum: 1\r\n\r\n';

test('hands on data, or the chunks as they came without their extensions, at every split', () => {
  for (let step = 1; step <= BODY.length; step++) {
    assert.equal(read(BODY, false, step).out, 'hello!01234567890', `step ${step}`);
    assert.equal(read(BODY, true, step).out, BODY_WITHOUT_EXTENSIONS, `step ${step}`);
  }
});

test('stops at the end of the body', () => {
  assert.equal(read('1\r\na\r\n0\r\n\r\nGET / HTTP/1.1', true).stop, 11);
});

for (const [attack, text] of [
  ['no size', '\r\n'],
  ['a sign', '+1\r\na\r\n'],
  ['a prefix', '0x1\r\na\r\n'],
  ['a size of many digits', '0000000000001\r\na\r\n'],
  ['a huge size', 'ffffffffffffffff\r\n'],
  ['a bare LF after the size', '1\na\r\n'],
  ['a bare LF in an extension (TERM.EXT)', '1;a\nb\r\na\r\n'],
  ['a bare CR in an extension', '1;a\rb\r\na\r\n'],
  ['a space after the size', '1 \r\na\r\n'],
  ['an unfinished extension', '1;\r\na\r\n'],
  ['an open quote in an extension', '1;a="\r\na\r\n'],
  ['a space before the size', ' 1\r\na\r\n'],
  ['data longer than the size', '1\r\nab\r\n'],
  ['a bare LF after the data', '1\r\na\n0\r\n\r\n'],
  ['an endless extension', `1;${'a'.repeat(2000)}\r\na\r\n`],
  ['a Content-Length trailer', '0\r\nContent-Length: 5\r\n\r\n'],
  ['a Transfer-Encoding trailer', '0\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a Host trailer', '0\r\nHost: b\r\n\r\n'],
  ['an Authorization trailer', '0\r\nAuthorization: x\r\n\r\n'],
  ['a folded trailer', '0\r\nX: a\r\n b\r\n\r\n'],
  ['a trailer with a bare LF', '0\r\nX: a\n\r\n'],
  ['endless trailers', `0\r\nX: ${'a'.repeat(10_000)}\r\n\r\n`],
] as const) {
  test(`refuses ${attack}`, () => {
    assert.equal(read(text, true).stop, MALFORMED);
    assert.equal(read(text, false, 1).stop, MALFORMED);
  });
}

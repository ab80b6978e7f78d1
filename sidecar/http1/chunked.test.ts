import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { ChunkedReader, MALFORMED, NEED_MORE } from './chunked.ts';

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

test('an attacker who spreads extensions over many chunks is stopped at the limit of the whole body', () => {
  const chunk = `1;${'a'.repeat(200)}\r\nx\r\n`;
  assert.equal(read(chunk.repeat(5), false).stop, NEED_MORE);
  assert.equal(read(chunk.repeat(6), false).stop, MALFORMED);
});

test('a reader is used for one body after the other, and nothing of one is left for the next', () => {
  const reader = new ChunkedReader(DEFAULT_LIMITS);
  const feed = (text: string, verbatim: boolean) => {
    let out = '';
    reader.reset(verbatim);
    const bytes = Buffer.from(text, 'latin1');
    const stop = reader.feed(bytes, 0, bytes.length, (from, start, end) => {
      out += from.toString('latin1', start, end);
    });
    return { out, stop, done: reader.done, problem: reader.problem };
  };
  assert.equal(feed(`1;${'a'.repeat(1000)}`, true).stop, NEED_MORE);
  assert.equal(feed('xyz', true).problem?.code, 'bad-framing');
  for (const verbatim of [true, false])
    assert.deepEqual(feed('1;a\r\nx\r\n0\r\nT: 1\r\n\r\n', verbatim), {
      out: verbatim ? '1\r\nx\r\n0\r\nT: 1\r\n\r\n' : 'x',
      stop: 19,
      done: true,
      problem: undefined,
    });
  assert.equal(feed('5\r\nhel', false).done, false);
});

test('sizes take both cases of digits and leading zeros, up to twelve digits', () => {
  assert.equal(read('0000000000aB\r\n', false).stop, NEED_MORE);
  assert.equal(read(`aB\r\n${'x'.repeat(0xab)}\r\n000\r\n\r\n`, false).out.length, 0xab);
});

test('trailers pass in their order and form, and not when only the data is wanted', () => {
  const text = '0\r\nX-B:  2\r\nx-a:1\r\n\r\n';
  assert.equal(read(text, true).out, text);
  assert.equal(read(text, true, 1).out, text);
  assert.equal(read(text, false).out, '');
});

test('an attacker whose trailers never end is stopped even if an older read left a blank line behind', () => {
  const reader = new ChunkedReader({ ...DEFAULT_LIMITS, trailerBytes: 500 });
  reader.reset(true);
  const shared = Buffer.alloc(1000, '\r\n\r\n', 'latin1');
  const drip = `0\r\nX: ${'a'.repeat(3000)}`;
  let taken = 0;
  let stop = NEED_MORE;
  while (taken < drip.length && stop === NEED_MORE) {
    const end = shared.write(drip.slice(taken, taken + 10), 0, 'latin1');
    stop = reader.feed(shared, 0, end, () => {});
    taken += end;
  }
  assert.equal(stop, MALFORMED);
  assert.ok(taken < 520, String(taken));
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
  ['a Connection trailer', '0\r\nConnection: x\r\n\r\n'],
  ['an Upgrade trailer', '0\r\nX: 1\r\nUPGRADE: h2c\r\n\r\n'],
  ['a TE trailer', '0\r\nte: trailers\r\n\r\n'],
  ['an Expect trailer', '0\r\nExpect: 100-continue\r\n\r\n'],
  ['a trailer without colon', '0\r\nX\r\n\r\n'],
  ['a bare CR in the blank line', '0\r\n\rX: a\r\n\r\n'],
  ['more trailers than headers are allowed', `0\r\n${'X: a\r\n'.repeat(101)}\r\n`],
  ['a folded trailer', '0\r\nX: a\r\n b\r\n\r\n'],
  ['a trailer with a bare LF', '0\r\nX: a\n\r\n'],
  ['endless trailers', `0\r\nX: ${'a'.repeat(10_000)}\r\n\r\n`],
] as const) {
  test(`refuses ${attack}`, () => {
    assert.equal(read(text, true).stop, MALFORMED);
    assert.equal(read(text, false, 1).stop, MALFORMED);
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { forwardedFields } from './forwarded-head.ts';
import { CHUNKED, LENGTH, NO_BODY, UNTIL_CLOSE } from './head.ts';
import { FAILED, HeadParser, INCOMPLETE } from './head-parser.ts';
import { PROBLEMS } from './problems.ts';

function request(text: string, limits = DEFAULT_LIMITS) {
  const parser = new HeadParser('request', limits);
  const bytes = Buffer.from(text, 'latin1');
  return { parser, stop: parser.parse(bytes, 0, bytes.length), bytes };
}

function response(text: string, answersHead = false) {
  const parser = new HeadParser('response', DEFAULT_LIMITS);
  const bytes = Buffer.from(text, 'latin1');
  return { parser, stop: parser.parse(bytes, 0, bytes.length, answersHead) };
}

function refused(text: string, problem: { detail: string }) {
  const { parser, stop } = request(text);
  assert.equal(stop, FAILED, `accepted: ${JSON.stringify(text)}`);
  assert.equal(parser.problem?.detail, problem.detail, JSON.stringify(text));
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n';

test('reads a request head and leaves the bytes after it', () => {
  const { parser, stop, bytes } = request(
    'POST /a?b=c HTTP/1.1\r\nHost: Shop:80\r\nX-Y:  z \t\r\nContent-Length: 3\r\n\r\nabc',
  );
  assert.equal(bytes.toString('latin1', stop), 'abc');
  const { head } = parser;
  assert.deepEqual([head.method, head.target, head.minor], ['POST', '/a?b=c', 1]);
  assert.deepEqual([head.get('host'), head.get('x-y')], ['Shop:80', 'z']);
  assert.deepEqual([head.framing, head.length], [LENGTH, 3]);
});

test('any split of the bytes reads the same head', () => {
  const text =
    'POST /path HTTP/1.1\r\nHost: a.b\r\nX-Long: abc def\r\nTransfer-Encoding: chunked\r\nConnection: X-Gone\r\nX-Gone: 1\r\n\r\nrest';
  const whole = request(text);
  for (let cut = 1; cut < text.length; cut++) {
    const parser = new HeadParser('request', DEFAULT_LIMITS);
    const bytes = Buffer.from(text, 'latin1');
    const first = parser.parse(bytes, 0, cut);
    const stop = first === INCOMPLETE ? parser.parse(bytes, cut, bytes.length) : first;
    assert.equal(stop, whole.stop, `cut at ${cut}`);
    assert.equal(parser.head.framing, CHUNKED);
    assert.equal(forwardedFields(parser.head), forwardedFields(whole.parser.head));
  }
});

test('one byte at a time reads the same head, and the next one after it', () => {
  const text = `${GET}A: b\r\n\r\nPUT /x HTTP/1.0\r\n\r\n`;
  const parser = new HeadParser('request', DEFAULT_LIMITS);
  const bytes = Buffer.from(text, 'latin1');
  const seen: string[] = [];
  for (let i = 0; i < bytes.length; i++) {
    const stop = parser.parse(bytes, i, i + 1);
    if (stop !== INCOMPLETE)
      seen.push(`${stop} ${parser.head.method} ${parser.head.target} ${parser.head.minor}`);
  }
  assert.deepEqual(seen, ['33 GET / 1', `${text.length} PUT /x 0`]);
});

test('two connections that send half a head each are not mixed up', () => {
  const one = new HeadParser('request', DEFAULT_LIMITS);
  const two = new HeadParser('request', DEFAULT_LIMITS);
  const feed = (parser: HeadParser, text: string) => parser.parse(Buffer.from(text), 0, text.length);
  feed(one, `${GET}Connection: x-secret\r\n`);
  feed(two, `${GET}Connection: x-other\r\nX-Secret: kept\r\n`);
  feed(one, 'X-Secret: gone\r\n\r\n');
  feed(two, '\r\n');
  assert.ok(!forwardedFields(one.head).includes('X-Secret'));
  assert.ok(forwardedFields(two.head).includes('X-Secret: kept'));
});

test('hop-by-hop fields and those that Connection names are not forwarded; the rest is unchanged', () => {
  const { parser } = request(
    `${GET}kEEp-aLIVE: 5\r\nX-A:  one\r\nConnection: keep-alive, X-B\r\nTE: trailers\r\nx-b: 2\r\nProxy-Connection: x\r\nX-C: 3\r\n\r\n`,
  );
  assert.equal(forwardedFields(parser.head), 'Host: a\r\nX-A:  one\r\nX-C: 3\r\n');
});

for (const [attack, text, problem] of [
  [
    'Content-Length with Transfer-Encoding (CL.TE)',
    `${GET}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
    PROBLEMS.bothLengths,
  ],
  [
    'Transfer-Encoding with Content-Length (TE.CL)',
    `${GET}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n`,
    PROBLEMS.bothLengths,
  ],
  [
    'two Transfer-Encodings (TE.TE)',
    `${GET}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    PROBLEMS.transferEncoding,
  ],
  ['a masked Transfer-Encoding', `${GET}Transfer-Encoding: xchunked\r\n\r\n`, PROBLEMS.transferEncoding],
  ['chunked twice', `${GET}Transfer-Encoding: chunked, chunked\r\n\r\n`, PROBLEMS.transferEncoding],
  ['another coding', `${GET}Transfer-Encoding: gzip, chunked\r\n\r\n`, PROBLEMS.transferCoding],
  ['chunked not last', `${GET}Transfer-Encoding: chunked, identity\r\n\r\n`, PROBLEMS.transferEncoding],
  ['a quoted chunked', `${GET}Transfer-Encoding: "chunked"\r\n\r\n`, PROBLEMS.transferEncoding],
  ['an empty Transfer-Encoding', `${GET}Transfer-Encoding:\r\n\r\n`, PROBLEMS.transferEncoding],
  [
    'Transfer-Encoding in HTTP/1.0',
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n',
    PROBLEMS.chunkedOld,
  ],
  ['two Content-Lengths', `${GET}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`, PROBLEMS.contentLength],
  [
    'two equal Content-Lengths',
    `${GET}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`,
    PROBLEMS.contentLength,
  ],
  ['a list in Content-Length', `${GET}Content-Length: 5, 5\r\n\r\n`, PROBLEMS.contentLength],
  ['a signed Content-Length', `${GET}Content-Length: +5\r\n\r\n`, PROBLEMS.contentLength],
  ['a negative Content-Length', `${GET}Content-Length: -5\r\n\r\n`, PROBLEMS.contentLength],
  ['a hexadecimal Content-Length', `${GET}Content-Length: 0x5\r\n\r\n`, PROBLEMS.contentLength],
  ['a huge Content-Length', `${GET}Content-Length: 99999999999999999999\r\n\r\n`, PROBLEMS.contentLength],
  ['an empty Content-Length', `${GET}Content-Length:\r\n\r\n`, PROBLEMS.contentLength],
  ['obs-fold', `${GET}X: a\r\n b\r\n\r\n`, PROBLEMS.obsFold],
  ['obs-fold before any header', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', PROBLEMS.obsFold],
  ['a bare LF after a value', `${GET}X: a\nY: b\r\n\r\n`, PROBLEMS.bareLf],
  ['a bare LF as the blank line', `${GET}\n`, PROBLEMS.bareLf],
  ['a bare LF after the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', PROBLEMS.bareLf],
  ['a bare CR in a value', `${GET}X: a\rb\r\n\r\n`, PROBLEMS.bareCr],
  ['a bare CR as the blank line', `${GET}\rX: a\r\n\r\n`, PROBLEMS.bareCr],
  ['NUL in a value', `${GET}X: a\0b\r\n\r\n`, PROBLEMS.fieldValue],
  ['NUL in a name', `${GET}X\0: a\r\n\r\n`, PROBLEMS.fieldName],
  ['DEL in a value', `${GET}X: a\x7f\r\n\r\n`, PROBLEMS.fieldValue],
  ['a space before the colon', `${GET}Content-Length : 5\r\n\r\n`, PROBLEMS.spaceBeforeColon],
  ['a name without colon', `${GET}Nocolon\r\n\r\n`, PROBLEMS.fieldName],
  ['an empty name', `${GET}: a\r\n\r\n`, PROBLEMS.fieldName],
  ['two Hosts', `${GET}Host: b\r\n\r\n`, PROBLEMS.host],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', PROBLEMS.host],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', PROBLEMS.host],
  ['a Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', PROBLEMS.host],
  ['a Host with user information', 'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n', PROBLEMS.host],
  ['a Host list', 'GET / HTTP/1.1\r\nHost: a,b\r\n\r\n', PROBLEMS.host],
  ['an absolute target that is not Host', 'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n', PROBLEMS.hostMismatch],
  [
    'an absolute target with user information',
    'GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n',
    PROBLEMS.target,
  ],
  ['a relative target', 'GET a HTTP/1.1\r\nHost: a\r\n\r\n', PROBLEMS.target],
  ['a fragment in the target', 'GET /#x HTTP/1.1\r\nHost: a\r\n\r\n', PROBLEMS.target],
  ['a control character in the target', 'GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n', PROBLEMS.target],
  ['raw bytes beyond ASCII in the target', 'GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n', PROBLEMS.target],
  ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', PROBLEMS.connect],
  ['a tunnel by * ', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', PROBLEMS.target],
  ['two spaces in the request line', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n', PROBLEMS.requestLine],
  ['a request line without version', 'GET /\r\nHost: a\r\n\r\n', PROBLEMS.requestLine],
  ['HTTP/2.0 in a request line', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', PROBLEMS.version],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', PROBLEMS.version],
  ['http in lower case', 'GET / http/1.1\r\nHost: a\r\n\r\n', PROBLEMS.requestLine],
  ['HTTP/1.10', 'GET / HTTP/1.10\r\nHost: a\r\n\r\n', PROBLEMS.requestLine],
  ['a blank method', ' / HTTP/1.1\r\nHost: a\r\n\r\n', PROBLEMS.requestLine],
  ['endless blank lines', '\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', PROBLEMS.requestLine],
  [
    'Connection naming Content-Length',
    `${GET}Content-Length: 5\r\nConnection: Content-Length\r\n\r\n`,
    PROBLEMS.connection,
  ],
  ['Connection naming Host', `${GET}Connection: close, host\r\n\r\n`, PROBLEMS.connection],
  ['another expectation', `${GET}Expect: 200-ok\r\n\r\n`, PROBLEMS.expectation],
] as const) {
  test(`refuses ${attack}`, () => refused(text, problem));
}

test('takes what is unusual but right', () => {
  assert.ok(request('PURGE-all! / HTTP/1.1\r\nHost: a\r\n\r\n').stop > 0);
  assert.ok(request('\r\nGET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n').stop > 0);
  assert.ok(request('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n').stop > 0);
  assert.ok(request(`${GET}X:\r\nY: \xe9\t\xff\r\nZ::::\r\n\r\n`).stop > 0);
  assert.ok(request('GET / HTTP/1.0\r\n\r\n').stop > 0);
  assert.ok(request(`${GET}Transfer-Encoding: Chunked\r\n\r\n`).stop > 0);
});

test('an absolute target is forwarded in origin form', () => {
  const { parser } = request('GET http://A:80?x HTTP/1.1\r\nHost: a:80\r\n\r\n');
  assert.equal(parser.head.target, '/?x');
});

test('a head that never ends is refused at the limit, whole or dripping', () => {
  const limits = { ...DEFAULT_LIMITS, headBytes: 1000, targetBytes: 100, headers: 3 };
  const long = request(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(1000)}\r\n\r\n`, limits);
  assert.equal(long.parser.problem?.status, 431);
  assert.equal(
    request(`GET /${'a'.repeat(200)} HTTP/1.1\r\nHost: a\r\n\r\n`, limits).parser.problem?.status,
    414,
  );
  assert.equal(request(`GET /${'a'.repeat(200)}`, limits).parser.problem?.status, 414);
  assert.equal(
    request(`${GET}B: 1\r\nC: 2\r\nD: 3\r\n\r\n`, limits).parser.problem?.detail,
    PROBLEMS.headersMany.detail,
  );
  const parser = new HeadParser('request', limits);
  const drip = Buffer.from(`${GET}X: ${'a'.repeat(2000)}`);
  let taken = 0;
  while (taken < drip.length && parser.parse(drip, taken, taken + 1) === INCOMPLETE) taken++;
  assert.equal(parser.problem?.status, 431);
  assert.ok(taken <= 1001);
});

test('an attacker whose head never ends is refused at the limit even if an older read left a blank line behind', () => {
  const limits = { ...DEFAULT_LIMITS, headBytes: 1000 };
  const shared = Buffer.alloc(4096, `${GET}\r\n`, 'latin1');
  for (const piece of [1, 7, 100, 999]) {
    const parser = new HeadParser('request', limits);
    const drip = `${GET}X: ${'a'.repeat(5000)}`;
    let taken = 0;
    let stop = INCOMPLETE;
    while (taken < drip.length && stop === INCOMPLETE) {
      const end = shared.write(drip.slice(taken, taken + piece), 0, 'latin1');
      stop = parser.parse(shared, 0, end);
      taken += end;
    }
    assert.equal(parser.problem?.status, 431, `by ${piece} bytes`);
    assert.ok(taken <= 1001 + piece, `${taken} bytes by ${piece}`);
  }
});

test('a head that is cut inside its blank line is taken, however much of a body follows it', () => {
  const limits = { ...DEFAULT_LIMITS, headBytes: 1000 };
  const text = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n';
  const bytes = Buffer.from(text + 'b'.repeat(5000), 'latin1');
  for (let cut = 1; cut < text.length; cut++) {
    const parser = new HeadParser('request', limits);
    assert.equal(parser.parse(bytes, 0, cut), INCOMPLETE);
    assert.equal(parser.parse(bytes, cut, bytes.length), text.length, `cut at ${cut}`);
    assert.equal(parser.head.length, 5000);
  }
});

test('a head that is longer than the limit is refused however it is cut', () => {
  const limits = { ...DEFAULT_LIMITS, headBytes: 200 };
  const bytes = Buffer.from(`${GET}X: ${'a'.repeat(200)}\r\n\r\n`, 'latin1');
  for (let cut = 1; cut < bytes.length; cut++) {
    const parser = new HeadParser('request', limits);
    const first = parser.parse(bytes, 0, cut);
    if (first === INCOMPLETE) assert.equal(parser.parse(bytes, cut, bytes.length), FAILED, `cut at ${cut}`);
    assert.equal(parser.problem?.detail, PROBLEMS.headLong.detail);
  }
});

test('whether a head has begun is known, and a new one starts clean after a refused one', () => {
  const parser = new HeadParser('request', DEFAULT_LIMITS);
  const feed = (text: string) => parser.parse(Buffer.from(text, 'latin1'), 0, text.length);
  assert.equal(parser.begun, false);
  feed('GET / HT');
  assert.equal(parser.begun, true);
  feed('TP/1.1\r\nHost: a\r\n\r\n');
  assert.equal(parser.begun, false);
  assert.equal(feed('GET / HTTP/9.9\r\nHost: a\r\n\r\n'), FAILED);
  assert.ok(feed(`${GET}Connection: close\r\n\r\n`) > 0);
  assert.ok(feed(`${GET}\r\n`) > 0);
  assert.deepEqual([parser.problem, parser.head.close, parser.head.count], [undefined, false, 1]);
});

test('a response knows its framing', () => {
  assert.equal(response('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n').parser.head.framing, LENGTH);
  assert.equal(response('HTTP/1.1 200\r\n\r\n').parser.head.framing, UNTIL_CLOSE);
  assert.equal(
    response('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n').parser.head.framing,
    CHUNKED,
  );
  assert.equal(
    response('HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n').parser.head.framing,
    NO_BODY,
  );
  assert.equal(response('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n', true).parser.head.framing, NO_BODY);
  assert.equal(response('HTTP/1.1 204 No Content\r\n\r\n').parser.head.framing, NO_BODY);
});

for (const [trick, text] of [
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n'],
  ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['an unknown coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n'],
  ['a body with 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n'],
  ['chunks with 204', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
] as const) {
  test(`refuses a response with ${trick}`, () => assert.equal(response(text).stop, FAILED));
}

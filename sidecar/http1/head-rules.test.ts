import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { CHUNKED, type Head, LENGTH, NO_BODY, UNTIL_CLOSE } from './head.ts';
import { FAILED, HeadParser } from './head-parser.ts';
import { PROBLEMS } from './problems.ts';

function read(kind: 'request' | 'response', text: string, answersHead = false) {
  const parser = new HeadParser(kind, DEFAULT_LIMITS);
  const bytes = Buffer.from(text, 'latin1');
  const stop = parser.parse(bytes, 0, bytes.length, answersHead);
  return { head: parser.head, problem: stop === FAILED ? parser.problem : undefined, stop };
}

function request(...lines: string[]) {
  return read('request', `GET / HTTP/1.1\r\nHost: h\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
}

function response(status: number, ...lines: string[]) {
  return read('response', `HTTP/1.1 ${status} X\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
}

function accepted({ head, problem, stop }: { head: Head; problem: unknown; stop: number }): Head {
  assert.equal(problem, undefined);
  assert.ok(stop > 0);
  return head;
}

test('Connection says close, keep-alive and upgrade in any case, alone or in a list, in one line or several', () => {
  for (const [lines, close, keepAlive, upgrade] of [
    [['Connection: close'], true, false, false],
    [['Connection: Close'], true, false, false],
    [['Connection: keep-alive'], false, true, false],
    [['connection: KEEP-ALIVE'], false, true, false],
    [['Connection: Upgrade , close'], true, false, true],
    [['Connection: ,, keep-alive ,'], false, true, false],
    [['Connection: keep-alive', 'Connection: close'], true, true, false],
    [['Connection:'], false, false, false],
    [['Connection: closed'], false, false, false],
    [['X-Connection: close'], false, false, false],
  ] as const) {
    const head = accepted(request(...lines));
    assert.deepEqual(
      [head.close, head.keepAlive, head.connectionUpgrade],
      [close, keepAlive, upgrade],
      lines[0],
    );
  }
});

for (const name of [
  'Host',
  'Content-Length',
  'Transfer-Encoding',
  'Expect',
  'Trailer',
  'Authorization',
  'Cookie',
  'X-Request-Id',
  'Traceparent',
]) {
  test(`refuses an attacker who makes this proxy drop ${name} by naming it in Connection`, () => {
    for (const value of [name, name.toUpperCase(), `close,${name}`, `keep-alive, ${name} , x`])
      assert.equal(request(`Connection: ${value}`).problem, PROBLEMS.connection, value);
  });
}

test('what Connection names is gone for later readers too, even when it stands before Connection', () => {
  const head = accepted(request('X-A: 1', 'Connection: x-a, x_b', 'X_B: 2'));
  assert.deepEqual([head.get('x-a'), head.get('x_b')], [undefined, undefined]);
});

test('Content-Length is plain digits: zero, with leading zeros, up to fifteen', () => {
  for (const [value, length] of [
    ['0', 0],
    ['5', 5],
    ['007', 7],
    ['999999999999999', 999_999_999_999_999],
  ] as const) {
    const head = accepted(request(`Content-Length:${value}  `));
    assert.deepEqual([head.framing, head.length], [LENGTH, length]);
  }
});

for (const value of [
  '1e3',
  '1.0',
  '1_000',
  '٣',
  '1 2',
  '1,1',
  '0x10',
  '1;a',
  '1000000000000000',
  '-0',
  '١',
]) {
  test(`refuses an attacker who writes the length as ${value}`, () =>
    assert.equal(request(`Content-Length: ${value}`).problem?.code, 'bad-framing'));
}

test('a request without length or coding has no body; only a response lasts until the close', () => {
  assert.equal(accepted(request()).framing, NO_BODY);
  assert.equal(accepted(response(200)).framing, UNTIL_CLOSE);
});

test('Transfer-Encoding is chunked in any case, and nothing else', () => {
  assert.equal(accepted(request('Transfer-Encoding: CHUNKED')).framing, CHUNKED);
  for (const value of ['chunked;q=1', 'chunked,', ',chunked', 'identity', 'chunked\tx', 'chunkedchunked'])
    assert.equal(request(`Transfer-Encoding: ${value}`).problem, PROBLEMS.transferEncoding, value);
  assert.equal(request('Transfer-Encoding: deflate,chunked').problem, PROBLEMS.transferCoding);
});

test('Host takes names, addresses and ports, and nothing that another reader could take apart differently', () => {
  const host = (value: string) => read('request', `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`).problem;
  for (const value of ['a', 'A.b-c_d~e', 'a:80', '[::1]', '[::1]:80', '127.0.0.1:1', 'a.'])
    assert.equal(host(value), undefined, value);
  for (const value of [
    'a/b',
    'a?b',
    'a#b',
    'a@b',
    'a b',
    'a,b',
    'a;b',
    'a%00',
    'a\\b',
    '"a"',
    'a\xe9',
    "a'b",
  ])
    assert.equal(host(value), PROBLEMS.host, value);
});

test('HTTP/1.0 may come without Host, HTTP/1.1 not', () => {
  assert.equal(accepted(read('request', 'GET / HTTP/1.0\r\n\r\n')).hostIndex, -1);
  assert.equal(read('request', 'OPTIONS * HTTP/1.1\r\n\r\n').problem, PROBLEMS.host);
});

test('an absolute target becomes its path; its authority must be Host, case aside', () => {
  const target = (absolute: string, host: string) => {
    const { head, problem } = read('request', `GET ${absolute} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    return problem ?? head.target;
  };
  assert.equal(target('http://a/b?c', 'a'), '/b?c');
  assert.equal(target('HTTPS://A:443/b', 'a:443'), '/b');
  assert.equal(target('http://a', 'A'), '/');
  assert.equal(target('http://a?b', 'a'), '/?b');
  assert.equal(target('http://a//b', 'a'), '//b');
  assert.equal(target('http://a/', 'b'), PROBLEMS.hostMismatch);
  assert.equal(target('http://a:80/', 'a'), PROBLEMS.hostMismatch);
  assert.equal(target('http://a@b/', 'b'), PROBLEMS.target);
  assert.equal(target('http:///b', 'b'), PROBLEMS.target);
  assert.equal(target('http:/b', 'b'), PROBLEMS.target);
  assert.equal(target('ftp://b/', 'b'), PROBLEMS.target);
  assert.equal(target('a:80', 'a:80'), PROBLEMS.target);
});

test('an absolute target without Host is refused even in HTTP/1.0', () => {
  assert.equal(read('request', 'GET http://a/ HTTP/1.0\r\n\r\n').problem, PROBLEMS.host);
});

test('Expect is 100-continue in any case, once', () => {
  assert.ok(accepted(request('Expect: 100-Continue')).expectsContinue);
  assert.equal(request('Expect: 100-continue', 'Expect: 100-continue').problem, PROBLEMS.expectation);
  assert.equal(request('Expect:').problem, PROBLEMS.expectation);
});

test('Keep-Alive tells the timeout of the server in seconds, if it is one', () => {
  for (const [value, ms] of [
    ['timeout=5', 5000],
    ['max=100, timeout=5', 5000],
    ['timeout=5,max=100', 5000],
    ['Timeout=0', 0],
    ['timeout=999999', 999_999_000],
    ['timeout=9999999', -1],
    ['timeout=-5', -1],
    ['timeout=5s', -1],
    ['xtimeout=5', -1],
    ['timeout = 5', -1],
    ['', -1],
  ] as const)
    assert.equal(accepted(response(200, `Keep-Alive: ${value}`)).keepAliveMs, ms, value);
});

test('where upgrade, request id and host stand is known', () => {
  const head = accepted(request('A: b', 'Upgrade: websocket', 'X-REQUEST-ID: 1'));
  assert.deepEqual([head.hostIndex, head.upgradeIndex, head.requestIdIndex], [0, 2, 3]);
});

test('nothing of one head is left for the next of the same parser', () => {
  const parser = new HeadParser('request', DEFAULT_LIMITS);
  const feed = (text: string) => parser.parse(Buffer.from(text, 'latin1'), 0, text.length);
  feed(
    'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close, upgrade, x-a\r\nUpgrade: x\r\nExpect: 100-continue\r\nKeep-Alive: timeout=1\r\nX-Request-Id: 1\r\n\r\n',
  );
  feed('GET / HTTP/1.1\r\nHost: h\r\nX-A: kept\r\n\r\n');
  const { head } = parser;
  const fresh = accepted(request('X-A: kept'));
  const state = (of: Head) => ({
    ...of,
    lines: undefined,
    offsets: [...of.lines.offsets.slice(0, 8)],
    fate: [...of.lines.fate.slice(0, 2)],
  });
  assert.deepEqual(state(head), state(fresh));
});

test('a response of 1xx, 204, 304 or to HEAD has no body, whatever length it tells', () => {
  for (const status of [100, 103, 204]) {
    assert.equal(accepted(response(status)).framing, NO_BODY);
    assert.equal(accepted(response(status, 'Content-Length: 0')).framing, NO_BODY);
    assert.equal(response(status, 'Content-Length: 1').problem, PROBLEMS.bodyOnNoBody);
    assert.equal(response(status, 'Transfer-Encoding: chunked').problem, PROBLEMS.bodyOnNoBody);
  }
  assert.equal(accepted(response(304, 'Transfer-Encoding: chunked')).framing, NO_BODY);
  const toHead = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  assert.equal(accepted(read('response', toHead, true)).framing, NO_BODY);
});

test('OPTIONS for a whole server in absolute form becomes the asterisk; a path stays a path', () => {
  const target = (absolute: string) =>
    accepted(read('request', `OPTIONS ${absolute} HTTP/1.1\r\nHost: h\r\n\r\n`)).target;
  assert.equal(target('http://h'), '*');
  assert.equal(target('http://h/'), '/');
  assert.equal(target('http://h?a'), '/?a');
});

type Random = () => number;

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)] as T; // the index is below the length
}

const METHODS = ['GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'PATCH', 'CONNECT'];
const TARGETS = [
  '/',
  '/a/b?c=d',
  '*',
  'http://h/',
  'http://other/x',
  'h:80',
  'a',
  '/%00',
  '/a b',
  '/\x01',
  '/#f',
  '/\xe9',
  '',
];
const VERSIONS = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/1.2',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTP/11',
  '',
];
const ENDS = ['\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\r\n', '\r\n '];
const FIELDS = [
  'Host: h',
  'Host: h',
  'host:other',
  'Host: h, h',
  'Host:',
  'X-A: b',
  'X-A:  b\t',
  'X A: b',
  'X-A : b',
  ': b',
  'X-A',
  'X\0: b',
  'X: \0',
  'X: a\rb',
  'X: \x7f',
  'X: \xff',
  'Content-Length: 5',
  'Content-Length: 5',
  'Content-Length: 0',
  'Content-Length: +5',
  'Content-Length: 5,5',
  'Content-Length: 5 5',
  'Content-Length: 0x5',
  'Content-Length: -1',
  'Content-Length: 18446744073709551621',
  'Content-Length:',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: CHUNKED',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunked ',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: \x0bchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding: chunked;a=b',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: X-A',
  'Connection: content-length',
  'Connection: upgrade',
  'Upgrade: websocket',
  'Expect: 100-continue',
  'Expect: other',
  'TE: trailers',
  ' folded',
  '\tfolded',
];
const BODIES = [
  '',
  'hello',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\n\r\n',
  '5 \r\nhello\r\n0\r\n\r\n',
  '5\nhello\n0\n\n',
  '05\r\nhello\r\n0\r\nX: y\r\n\r\n',
  '+5\r\nhello\r\n0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  '5\r\nhelloo\r\n0\r\n\r\n',
  '5\r\nhello0\r\n\r\n',
  '5;a\nb\r\nhello\r\n0\r\n\r\n',
  '5;"\r\nhello\r\n0\r\n\r\n',
  'fffffffffffffffff\r\nhello\r\n0\r\n\r\n',
  '0\r\nContent-Length: 3\r\n\r\n',
  '0\r\n x\r\n\r\n',
  '-1\r\n\r\n',
];

/** Fields that most messages have, so that many cases get as far as their bodies. */
const USUAL_FIELDS = [
  'X-A: b',
  'Accept: */*',
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
  'Cookie: a=b',
  'Connection: keep-alive',
];

function message(random: Random): string {
  const end = () => (random() < 0.96 ? '\r\n' : pick(random, ENDS));
  const usual = random() < 0.8;
  const method = usual ? pick(random, ['GET', 'POST']) : pick(random, METHODS);
  const target = usual ? '/' : pick(random, TARGETS);
  let text = `${random() < 0.03 ? '\r\n' : ''}${method} ${target} ${random() < 0.93 ? 'HTTP/1.1' : pick(random, VERSIONS)}${end()}`;
  if (random() < 0.95) text += `Host: h${end()}`;
  const count = Math.floor(random() * 4);
  for (let i = 0; i < count; i++) text += pick(random, random() < 0.7 ? USUAL_FIELDS : FIELDS) + end();
  return text + end() + pick(random, BODIES);
}

/** One to three messages in a row, some with a byte changed, taken out or put in. */
export function generateCase(random: Random): Buffer {
  let text = message(random);
  while (random() < 0.3) text += message(random);
  const bytes = Buffer.from(text, 'latin1');
  if (random() < 0.6) return bytes;
  const at = Math.floor(random() * bytes.length);
  const odd = pick(random, [
    0,
    9,
    10,
    11,
    13,
    32,
    34,
    43,
    44,
    45,
    58,
    59,
    127,
    128,
    255,
    Math.floor(random() * 256),
  ]);
  const kind = random();
  if (kind < 0.4) {
    bytes[at] = odd;
    return bytes;
  }
  const rest = bytes.subarray(kind < 0.7 ? at + 1 : at);
  return Buffer.concat([bytes.subarray(0, at), ...(kind < 0.7 ? [] : [Buffer.from([odd])]), rest]);
}

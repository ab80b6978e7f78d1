import assert from 'node:assert/strict';
import { test } from 'node:test';
import { capturedHello } from '../../test/fixture/captured-hello.ts';
import { type DetectedProtocol, detectExpected, detectProtocol } from './detect.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

const SAMPLES: Readonly<Record<Exclude<DetectedProtocol, 'tls'>, readonly string[]>> = {
  http1: [
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST /a HTTP/1.0\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n',
    'PROPFIND /a HTTP/1.1\r\n\r\n',
    'get / HTTP/1.1\r\n\r\n',
    'M-SEARCH /a HTTP/1.1\n\n',
    'PRI /a HTTP/1.1\r\n\r\n',
    'P / HTTP/1.1\r\n',
    'GET /a b c HTTP/1.1\r\n',
    'GET /\u0000',
  ],
  http2: [`${PREFACE}\u0000\u0000\u0000\u0004\u0000\u0000\u0000\u0000\u0000`],
  opaque: [
    'PING\r\n',
    '*1\r\n$4\r\nPING\r\n',
    'GET key\r\n',
    'SET a / HTTP\r\n',
    'EHLO client.test\r\n',
    'get key\r\n',
    'CONNECT {"verbose":false}\r\n',
    'SSH-2.0-OpenSSH_9.2p1\r\n',
    'OPTIONS rtsp://a/b RTSP/1.0\r\n',
    'REGISTER sip:a SIP/2.0\r\n',
    '0032git-upload-pack /project.git\u0000host=a\u0000',
    'AMQP\u0000\u0000\u0009\u0001',
    '\u0000\u0000\u0000\u0008\u0004\u00d2\u0016\u002f',
    '\u0010\u0010\u0000\u0004MQTT',
    'A\u0000\u0000\u0000',
    `${PREFACE.slice(0, 20)}X\r\n\r\n`,
    'PRI * HTTP/2.0\r\nX: y\r\n\r\n',
    'AMETHODTHATISLONGERTHANANY / HTTP/1.1\r\n',
    ' GET / HTTP/1.1\r\n',
    '\r\nGET / HTTP/1.1\r\n\r\n',
    'PROPFIND /a\u0001 HTTP/1.1\r\n',
    'PROPFIND /a\r HTTP/1.1\r\n',
    'PROPFIND /a HTTP/1.1x\r\n',
    '\u0016\u0002\u0000\u0000\u0005',
    '\u0016\u0003\u0001\u00ff\u00ff',
    '\u0016\u0003\u0001\u0000\u0004\u0002\u0000\u0000\u0000',
    '\u00ff\u00fe',
  ],
};

/** The answers to every prefix of `bytes`, without those that follow each other. */
function answers(bytes: Buffer, detect: (bytes: Buffer) => string): string[] {
  const all: string[] = [];
  for (let length = 0; length <= bytes.length; length++) {
    const answer = detect(bytes.subarray(0, length));
    if (all.at(-1) !== answer) all.push(answer);
  }
  return all;
}

for (const [protocol, samples] of Object.entries(SAMPLES)) {
  for (const sample of samples) {
    test(`${JSON.stringify(sample.slice(0, 30))} is ${protocol}, a byte at a time, and stays so`, () => {
      assert.deepEqual(answers(Buffer.from(sample, 'latin1'), detectProtocol), ['more', protocol]);
    });
  }
}

test('TLS is told by the first six bytes of a hello, and stays so', async () => {
  const hello = await capturedHello({ servername: 'db.shop' });
  assert.deepEqual(answers(hello, detectProtocol), ['more', 'tls']);
  assert.equal(detectProtocol(hello.subarray(0, 5)), 'more');
  assert.equal(detectProtocol(hello.subarray(0, 6)), 'tls');
});

test('every first byte and every first two bytes lead to more or to an answer that stays', () => {
  const rest = Buffer.from(' / HTTP/1.1\r\n\r\n');
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second++) {
      const seen = answers(Buffer.concat([Buffer.from([first, second]), rest]), detectProtocol);
      assert.ok(seen.length <= 2 && seen[0] === 'more', `${first} ${second}: ${seen}`);
    }
  }
});

test('usual requests are known at the first byte of their target, Redis at its third', () => {
  assert.equal(detectProtocol(Buffer.from('GET ')), 'more');
  assert.equal(detectProtocol(Buffer.from('GET /')), 'http1');
  assert.equal(detectProtocol(Buffer.from('*1\r')), 'opaque');
});

test('an attacker with a line that never ends is not waited for', () => {
  assert.equal(detectProtocol(Buffer.from(`PROPFIND /${'a'.repeat(8170)}`)), 'more');
  assert.equal(detectProtocol(Buffer.from(`PROPFIND /${'a'.repeat(8200)}`)), 'opaque');
});

test('on an HTTP port all that is neither TLS nor the preface is HTTP/1, at its first byte that differs', async () => {
  const http = (bytes: Buffer) => detectExpected('http', bytes);
  const hello = await capturedHello({});
  assert.deepEqual(answers(hello, http), ['more', 'tls']);
  assert.deepEqual(answers(Buffer.from(PREFACE), http), ['more', 'http2']);
  for (const sample of [...SAMPLES.http1, ...SAMPLES.opaque])
    assert.deepEqual(answers(Buffer.from(sample, 'latin1'), http), ['more', 'http1'], sample);
  assert.equal(http(Buffer.from('G')), 'http1');
});

test('on an opaque port all but TLS is opaque at the first byte', async () => {
  const opaque = (bytes: Buffer) => detectExpected('opaque', bytes);
  assert.deepEqual(answers(await capturedHello({}), opaque), ['more', 'tls']);
  for (const sample of [PREFACE, ...SAMPLES.http1, ...SAMPLES.opaque])
    assert.deepEqual(answers(Buffer.from(sample, 'latin1'), opaque), ['more', 'opaque'], sample);
  assert.equal(opaque(Buffer.from('G')), 'opaque');
});

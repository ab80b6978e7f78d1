import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import { type ProxyHeader, readProxyHeader, writeProxyHeader } from './proxy-header.ts';

const HEADER: ProxyHeader = {
  service: 'shop/db',
  port: 5432,
  source: '10.1.2.3:40000',
  destination: '10.9.8.7:5432',
};

function again(header: ProxyHeader): ProxyHeader | undefined {
  const bytes = writeProxyHeader(header);
  const read = readProxyHeader(bytes);
  assert.ok(read !== undefined && read !== 'more');
  assert.equal(read.length, bytes.length);
  return read.header;
}

/** The bytes of HEADER with some of them changed. */
function changed(change: (bytes: Buffer) => void, length?: number): ReturnType<typeof readProxyHeader> {
  const bytes = writeProxyHeader(HEADER).subarray(0, length);
  change(bytes);
  return readProxyHeader(bytes);
}

function withBody(family: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string, 'latin1')));
  const start = Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21', 'latin1');
  return Buffer.concat([start, Buffer.from([family, body.length >> 8, body.length & 0xff]), body]);
}

test('the bytes are those of the PROXY protocol version 2', () => {
  assert.equal(
    writeProxyHeader({ ...HEADER, service: 'a/b', port: 1 }).toString('hex'),
    `0d0a0d0a000d0a515549540a${'21'}${'11'}${'0014'}${'0a010203'}${'0a090807'}${'9c40'}${'1538'}${'02'}${'0005'}${'612f623a31'}`,
  );
});

test('what is written is read again: IPv4, IPv6, both, neither', () => {
  assert.deepEqual(again(HEADER), HEADER);
  const six = { ...HEADER, source: '[2001:db8::1]:1', destination: '[::1]:65535' };
  assert.deepEqual(again(six), six);
  assert.deepEqual(again({ ...HEADER, source: '[::ffff:10.1.2.3]:40000' }), HEADER);
  assert.deepEqual(again({ ...HEADER, source: '[2001:db8:0:1:2:3:4:5]:1' }), {
    ...HEADER,
    source: '[2001:db8:0:1:2:3:4:5]:1',
    destination: '[::ffff:a09:807]:5432',
  });
  const unknown = { ...HEADER, source: undefined, destination: undefined };
  assert.deepEqual(again(unknown), unknown);
  assert.deepEqual(again({ ...HEADER, destination: undefined }), unknown);
  assert.deepEqual(again({ ...HEADER, source: 'localhost:1' }), unknown);
});

test('a service whose name has its port already, and a pod, are written and read as any other', () => {
  assert.deepEqual(again({ ...HEADER, service: 'shop/db:5432', port: 5432 }), HEADER);
  assert.deepEqual(again({ ...HEADER, service: 'shop/web-0.pod:80', port: 80 }), {
    ...HEADER,
    service: 'shop/web-0.pod',
    port: 80,
  });
});

test('a byte at a time it is more until it is whole; what follows is left alone', () => {
  const bytes = writeProxyHeader(HEADER);
  for (let length = 0; length < bytes.length; length++)
    assert.equal(readProxyHeader(bytes.subarray(0, length)), 'more');
  const read = readProxyHeader(Buffer.concat([bytes, Buffer.from('\r\n\r\nmore')]));
  assert.deepEqual(read, { header: HEADER, length: bytes.length });
});

test('an attacker with another signature, version, command or family is told apart at that byte', () => {
  for (let at = 0; at < 14; at++) {
    const flip = (bytes: Buffer) => {
      bytes[at] = (bytes[at] ?? 0) ^ 0x40;
    };
    assert.equal(changed(flip), undefined, `byte ${at}`);
    assert.equal(changed(flip, at + 1), undefined, `byte ${at}, nothing after it`);
  }
  assert.equal(readProxyHeader(Buffer.from('GET / HTTP/1.1\r\n')), undefined);
  assert.equal(readProxyHeader(Buffer.from('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n')), undefined);
});

test('an attacker who announces a long header is not waited for', () => {
  assert.equal(readProxyHeader(withBody(0x11, Buffer.alloc(513))), undefined);
  assert.equal(readProxyHeader(withBody(0x11, Buffer.alloc(65_535)).subarray(0, 16)), undefined);
});

test('an attacker whose parts reach past the end, or who names no service, or two, or a strange one, is refused', () => {
  const authority = (text: string) =>
    Buffer.concat([Buffer.from([2, text.length >> 8, text.length & 0xff]), Buffer.from(text, 'latin1')]);
  assert.notEqual(readProxyHeader(withBody(0, authority('shop/db:1'))), undefined);
  assert.notEqual(readProxyHeader(withBody(0, '\x04\x00\x01x', authority('shop/db:1'))), undefined);
  for (const body of [
    [],
    [authority('shop/db:1'), authority('shop/web:1')],
    [authority('shop/db:1'), authority('shop/db:1')],
    [authority('shop/db:1'), '\x04\x00'],
    [authority('shop/db:1'), '\x04\x00\x05x'],
    ['\x02\xff\xff', 'shop/db:1'],
    ...[
      '',
      'shop/db',
      'db:1',
      'shop/db:',
      'shop/db:0',
      'shop/db:65536',
      'Shop/db:1',
      'shop/db:1\n',
      '../db:1',
      '/:1',
      'a/b/c:1',
    ].map((text) => [authority(text)]),
  ])
    assert.equal(readProxyHeader(withBody(0, ...body)), undefined, JSON.stringify(body));
  assert.equal(readProxyHeader(withBody(0x11, Buffer.alloc(11))), undefined);
  assert.equal(readProxyHeader(withBody(0x21, Buffer.alloc(12), authority('shop/db:1'))), undefined);
});

test('random bytes after the signature never throw, and never name a service that is none', () => {
  const random = seeded(7);
  for (let round = 0; round < 20_000; round++) {
    const bytes = writeProxyHeader(HEADER);
    for (let i = 0; i < 3; i++) bytes[12 + Math.floor(random() * (bytes.length - 12))] = random() * 256;
    const read = readProxyHeader(bytes);
    if (read !== undefined && read !== 'more') assert.match(read.header.service, /^[a-z0-9-]+\/[a-z0-9.-]+$/);
  }
});

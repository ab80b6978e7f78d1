import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPackets, TLS_1_3 } from './packets.ts';

function u16(...values: number[]): Buffer {
  return Buffer.concat(values.map((value) => Buffer.from([value >> 8, value & 255])));
}

/** A TCP segment in an IP packet, as `-i any` records it. */
function packet(payload: Buffer, version: 4 | 6 = 4): Buffer {
  const tcp = Buffer.concat([
    u16(40000, 8080),
    Buffer.alloc(8),
    Buffer.from([0x50, 0x18]),
    Buffer.alloc(6),
    payload,
  ]);
  const v4 = [
    Buffer.from([0x45, 0]),
    u16(20 + tcp.length),
    Buffer.alloc(5),
    Buffer.from([6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]),
  ];
  const v6 = [
    Buffer.from([0x60, 0, 0, 0]),
    u16(tcp.length),
    Buffer.from([6, 64]),
    Buffer.alloc(15),
    Buffer.from([1]),
    Buffer.alloc(15),
    Buffer.from([2]),
  ];
  return Buffer.concat([Buffer.alloc(20), ...(version === 4 ? v4 : v6), tcp]);
}

function captureOf(...packets: Buffer[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt32LE(276, 20);
  const records = packets.flatMap((bytes) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(bytes.length, 8);
    return [record, bytes];
  });
  return Buffer.concat([head, ...records]);
}

function hello(type: number, extensions: Buffer): Buffer {
  const body = Buffer.concat([
    u16(0x0303),
    Buffer.alloc(32),
    Buffer.from([1, 7]),
    u16(0x1301),
    Buffer.from([0]),
    u16(extensions.length),
    extensions,
  ]);
  return Buffer.concat([
    Buffer.from([22, 3, 3]),
    u16(body.length + 4),
    Buffer.from([type, 0]),
    u16(body.length),
    body,
  ]);
}

test('TLS 1.3 is known by the version that the server chose, not by the one that the record tells', () => {
  const modern = hello(2, Buffer.concat([u16(51, 2, 0), u16(43, 2, TLS_1_3)]));
  const old = hello(2, u16(51, 2, 0));
  const seen = readPackets(captureOf(packet(hello(1, Buffer.alloc(0))), packet(modern), packet(old, 6)));
  assert.equal(seen.clientHellos, 1);
  assert.deepEqual(seen.chosenVersions, [TLS_1_3, 0x0303]);
  assert.deepEqual(seen.plainHttp, []);
});

test('requests and responses as plain text are seen, over IPv4 and IPv6', () => {
  const request = packet(Buffer.from('GET / HTTP/1.1\r\nhost: web\r\n\r\n'));
  const response = packet(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), 6);
  const preface = packet(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'));
  const seen = readPackets(
    captureOf(
      request,
      response,
      preface,
      packet(Buffer.from('\x17\x03\x03GET / HTTP/1.1')),
      packet(Buffer.alloc(0)),
    ),
  );
  assert.deepEqual(
    seen.plainHttp.map((text) => text.slice(0, 8)),
    ['GET / HT', 'HTTP/1.1', 'PRI * HT'],
  );
  assert.equal(seen.segments.length, 4);
  assert.deepEqual(
    seen.segments.slice(0, 2).map(({ from, to }) => [from, to]),
    [
      ['10.0.0.1:40000', '10.0.0.2:8080'],
      ['[0000:0000:0000:0000:0000:0000:0000:0001]:40000', '[0000:0000:0000:0000:0000:0000:0000:0002]:8080'],
    ],
  );
});

test('what is no capture is refused', () => {
  assert.throws(() => readPackets(Buffer.from('listening on any')), /not a capture/);
});

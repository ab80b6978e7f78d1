import assert from 'node:assert/strict';
import { endianness } from 'node:os';
import { test } from 'node:test';
import { readSockaddrIn, readSockaddrIn6, SOCKADDR_IN_BYTES, SOCKADDR_IN6_BYTES } from './socket-address.ts';

function sockaddrIn6(hex: string, port: number, scope: number): Buffer {
  const bytes = Buffer.alloc(SOCKADDR_IN6_BYTES);
  bytes.writeUInt16BE(port, 2);
  bytes.write(hex, 8, 'hex');
  if (endianness() === 'LE') bytes.writeUInt32LE(scope, 24);
  else bytes.writeUInt32BE(scope, 24);
  return bytes;
}

test('address and port of a sockaddr_in are in network byte order', () => {
  const bytes = Buffer.alloc(SOCKADDR_IN_BYTES);
  bytes.set([2, 0, 0x1f, 0x90, 10, 96, 0, 1]);
  assert.deepEqual(readSockaddrIn(bytes), { host: '10.96.0.1', port: 8080 });
});

test('address and port of a sockaddr_in6; flow is passed over', () => {
  const bytes = sockaddrIn6('fd000010009600000000000000000001', 443, 0);
  bytes.fill(0xff, 4, 8);
  assert.deepEqual(readSockaddrIn6(bytes), { host: 'fd00:10:96::1', port: 443 });
});

test('a link-local address keeps its scope: without it there is no way to it', () => {
  const bytes = sockaddrIn6('fe800000000000000000000000000001', 80, 3);
  const nameOf = (scope: number) => `eth${scope}`;
  assert.deepEqual(readSockaddrIn6(bytes, nameOf), { host: 'fe80::1%eth3', port: 80 });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IntegerReader, MALFORMED_INTEGER, writeInteger } from './integer.ts';

function read(hex: string, mask: number): number {
  const bytes = Buffer.from(hex, 'hex');
  const reader = new IntegerReader();
  const value = reader.read(bytes, 0, bytes.length, mask);
  if (value !== MALFORMED_INTEGER) assert.equal(reader.after, bytes.length);
  return value;
}

function written(value: number, mask: number, pattern: number): string {
  const bytes = Buffer.alloc(8);
  return bytes.toString('hex', 0, writeInteger(value, mask, pattern, bytes, 0));
}

test('the examples of RFC 7541 appendix C.1', () => {
  assert.equal(written(10, 0x1f, 0), '0a');
  assert.equal(written(1337, 0x1f, 0), '1f9a0a');
  assert.equal(written(42, 0xff, 0), '2a');
  assert.equal(read('0a', 0x1f), 10);
  assert.equal(read('1f9a0a', 0x1f), 1337);
  assert.equal(read('2a', 0xff), 42);
});

test('integers come back, whatever the prefix and the bits above it', () => {
  for (const mask of [0x0f, 0x1f, 0x3f, 0x7f]) {
    for (const value of [0, 1, mask - 1, mask, mask + 1, mask + 127, mask + 128, 16_384, 2 ** 31 - 1]) {
      assert.equal(read(written(value, mask, 0xff ^ mask), mask), value, `${value} by ${mask}`);
    }
  }
});

test('leading zeros are read within six bytes', () => {
  assert.equal(read('1f8080808000', 0x1f), 31);
});

test('integers that are cut off, too large or too long are malformed', () => {
  assert.equal(read('1f', 0x1f), MALFORMED_INTEGER, 'cut after the prefix');
  assert.equal(read('1f80', 0x1f), MALFORMED_INTEGER, 'cut within');
  assert.equal(read('7f81ffffff07', 0x7f), MALFORMED_INTEGER, '2^31');
  assert.equal(read('7fffffffff7f', 0x7f), MALFORMED_INTEGER, 'above 2^32');
  assert.equal(read('1f808080808000', 0x1f), MALFORMED_INTEGER, 'seven bytes');
});

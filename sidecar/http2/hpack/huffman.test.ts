import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../../test/fixture/seeded.ts';
import { huffmanDecode, huffmanEncode, huffmanLength, mostDecodedBytes } from './huffman.ts';
import { CODE_LENGTHS } from './huffman-table.ts';

function encode(text: string): Buffer {
  const target = Buffer.alloc(huffmanLength(text));
  assert.equal(huffmanEncode(text, target, 0), target.length, 'the length is known before');
  return target;
}

function decode(bytes: Buffer): string | undefined {
  const most = mostDecodedBytes(bytes.length);
  const target = Buffer.alloc(most + 16, 0xee);
  const length = huffmanDecode(bytes, 0, bytes.length, target);
  assert.ok(
    target.subarray(most).every((byte) => byte === 0xee),
    'nothing is written beyond the room',
  );
  return length < 0 ? undefined : target.toString('latin1', 0, length);
}

test('the code is complete: its leaves fill the tree', () => {
  assert.equal(CODE_LENGTHS.length, 257);
  assert.equal(
    CODE_LENGTHS.reduce((sum, length) => sum + 2 ** (30 - length), 0),
    2 ** 30,
  );
});

test('texts of RFC 7541 appendix C are coded as there', () => {
  assert.equal(encode('www.example.com').toString('hex'), 'f1e3c2e5f23a6ba0ab90f4ff');
  assert.equal(
    encode('Mon, 21 Oct 2013 20:13:21 GMT').toString('hex'),
    'd07abe941054d444a8200595040b8166e082a62d1bff',
  );
  assert.equal(encode('').length, 0);
  assert.equal(decode(Buffer.alloc(0)), '');
});

test('each byte, alone and beside each other, comes back', () => {
  for (let a = 0; a < 256; a++) {
    for (let b = 0; b < 256; b++) {
      const text = String.fromCharCode(a, b, a);
      assert.equal(decode(encode(text)), text);
    }
  }
});

test('random texts come back', () => {
  const random = seeded(7541);
  for (let i = 0; i < 2000; i++) {
    const length = Math.floor(random() * 100);
    const top = random() < 0.5 ? 128 : 256;
    const text = Array.from({ length }, () => String.fromCharCode(Math.floor(random() * top))).join('');
    assert.equal(decode(encode(text)), text);
  }
});

test('wrong ends are refused', () => {
  const wrong = {
    'EOS as padding': 'ffffffff',
    'EOS after a symbol': '1fffffffff',
    'a byte of padding': 'ff',
    'more than seven bits of padding': '1fff',
    'padding of zeros': '18',
    'padding that is not all ones': '1e',
    'cut within a long code': 'fffe',
  };
  for (const [name, hex] of Object.entries(wrong)) {
    assert.equal(decode(Buffer.from(hex, 'hex')), undefined, name);
  }
  assert.equal(decode(Buffer.from('1f', 'hex')), 'a', 'three bits of ones are right');
});

test('random bytes are decoded to what encodes to them again, or refused', () => {
  const random = seeded(5);
  let decoded = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 6) }, () => random() * 256));
    const text = decode(bytes);
    if (text === undefined) continue;
    decoded++;
    assert.deepEqual(encode(text), bytes);
  }
  assert.ok(decoded > 500, `${decoded} were texts`);
});

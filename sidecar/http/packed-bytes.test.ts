import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PackedBytes } from './packed-bytes.ts';

function textOf(packed: PackedBytes): string {
  return [...packed.pieces()].join('');
}

test('single bytes are kept in order, in few pieces', () => {
  const packed = new PackedBytes();
  let whole = '';
  for (let index = 0; index < 100_000; index++) {
    const letter = String.fromCharCode(97 + (index % 26));
    whole += letter;
    packed.add(Buffer.from(`-${letter}-`), 1, 2);
  }
  assert.equal(packed.length, whole.length);
  assert.equal(textOf(packed), whole);
  assert.ok([...packed.pieces()].length < 20);
});

test('a large range after a small one fills the rest of its chunk first', () => {
  const packed = new PackedBytes();
  const large = Buffer.alloc(50_000, 'L');
  packed.add(Buffer.from('small'), 0, 5);
  packed.add(large, 0, large.length);
  packed.add(Buffer.from('end'), 0, 3);
  assert.equal(textOf(packed), `small${large}end`);
});

test('pieces are taken out from the front, and what is added meanwhile follows', () => {
  const packed = new PackedBytes();
  packed.add(Buffer.from('one'), 0, 3);
  assert.equal(packed.shift()?.toString(), 'one');
  assert.equal(packed.shift(), undefined);
  assert.equal(packed.length, 0);
  packed.add(Buffer.from('two'), 0, 3);
  packed.clear();
  packed.add(Buffer.from('three'), 0, 5);
  assert.equal(textOf(packed), 'three');
});

test('what is kept is a copy', () => {
  const packed = new PackedBytes();
  const bytes = Buffer.from('abc');
  packed.add(bytes, 0, 3);
  bytes.fill('x');
  assert.equal(textOf(packed), 'abc');
});

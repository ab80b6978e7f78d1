import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Field } from '../../http/field.ts';
import { DynamicTable } from './dynamic-table.ts';
import { EncoderTable, NO_INDEX } from './encoder-table.ts';
import { hashOfField, hashOfName } from './field-hash.ts';

const fieldHash = ({ name, value }: Field) => hashOfField(hashOfName(name), value);

function add(table: EncoderTable, field: Field): Field {
  table.add(field, hashOfName(field.name), fieldHash(field));
  return field;
}

function indexes(table: EncoderTable, field: Field): number[] {
  const copy = new Field(field.name, field.value);
  return [
    table.indexOfSame(field),
    table.indexOfField(copy, fieldHash(copy)),
    table.indexOfName(field.name, hashOfName(field.name)),
  ];
}

test('an entry is found by itself, by its texts and by its name; the newest has index 62', () => {
  const table = new EncoderTable();
  const old = add(table, new Field('a', '1'));
  const other = add(table, new Field('b', '1'));
  const last = add(table, new Field('a', '2'));
  assert.deepEqual(indexes(table, last), [62, 62, 62]);
  assert.deepEqual(indexes(table, other), [63, 63, 63]);
  assert.deepEqual(indexes(table, old), [64, 64, 62]);
  assert.deepEqual(indexes(table, new Field('c', '1')), [NO_INDEX, NO_INDEX, NO_INDEX]);
});

test('an entry that was evicted is found no more, also when the numbers of entries go round', () => {
  for (const newest of [0, 2 ** 32 - 150]) {
    const ring = new DynamicTable();
    ring.newest = newest;
    const table = new EncoderTable(ring);
    const added: Field[] = [];
    for (let i = 0; i < 1000; i++) {
      added.push(add(table, new Field(`name-${i}`, `value-${i}`)));
      assert.ok(ring.bytes <= ring.maxBytes);
      const gone = added[i - ring.count];
      if (gone !== undefined) assert.deepEqual(indexes(table, gone), [NO_INDEX, NO_INDEX, NO_INDEX]);
      const oldest = 61 + ring.count;
      assert.deepEqual(indexes(table, added[i - ring.count + 1] as Field), [oldest, oldest, oldest]);
    }
  }
});

test('entries stay where they are when the table grows, and the newest stay when it shrinks', () => {
  const table = new EncoderTable();
  const added = Array.from({ length: 50 }, (_, i) => add(table, new Field(`name-${i}`, `value-${i}`)));
  table.resize(16_384);
  for (let i = 0; i < 300; i++) added.push(add(table, new Field(`more-${i}`, '')));
  added.toReversed().forEach((field, age) => {
    assert.deepEqual(indexes(table, field), [62 + age, 62 + age, 62 + age]);
  });
  table.resize(100);
  assert.deepEqual(
    added.filter((field) => table.indexOfSame(field) !== NO_INDEX),
    added.slice(-2),
  );
});

test('a search ends also where numbers that have gone round chain entries in a circle', () => {
  const ring = new DynamicTable();
  const table = new EncoderTable(ring);
  const addRound = (name: string, hashes: number[]) => {
    ring.keepWithin(0);
    ring.newest = 4;
    for (const hash of hashes) table.add(new Field(name, `${hash}`), hash, hash);
  };
  addRound('first', [2, 3, 1]);
  addRound('second', [1, 3, 2]);
  assert.equal(table.indexOfField(new Field('none', ''), 1), NO_INDEX);
  assert.equal(table.indexOfName('none', 2), NO_INDEX);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../test/fixture/seeded.ts';
import { StreamTable } from './stream-table.ts';

class Item {
  readonly id: number;
  nextInTable: Item | undefined = undefined;

  constructor(id: number) {
    this.id = id;
  }
}

test('what was added is found, what was removed is not, as in a Map', () => {
  const random = seeded(11);
  const table = new StreamTable<Item>();
  const map = new Map<number, Item>();
  for (let step = 0; step < 20_000; step++) {
    const id = 1 + 2 * Math.floor(random() * 400);
    const known = map.get(id);
    assert.equal(table.get(id), known);
    if (known === undefined) {
      const item = new Item(id);
      map.set(id, item);
      table.add(item);
    } else if (random() < 0.9) {
      map.delete(id);
      table.remove(known);
      table.remove(known);
      assert.equal(known.nextInTable, undefined, 'what is gone holds on to nobody');
    }
    assert.equal(table.size, map.size);
  }
  assert.deepEqual(
    table
      .all()
      .map(({ id }) => id)
      .sort((a, b) => a - b),
    [...map.keys()].sort((a, b) => a - b),
  );
});

test('all may be removed while they are looked at, and a cleared table is empty', () => {
  const table = new StreamTable<Item>();
  for (let id = 1; id < 1000; id += 2) table.add(new Item(id));
  for (const item of table.all()) if (item.id % 3 === 0) table.remove(item);
  assert.equal(table.size, 500 - Math.ceil(999 / 6));
  const left = table.all();
  table.clear();
  assert.deepEqual([table.size, table.all(), table.get(1)], [0, [], undefined]);
  assert.ok(left.every(({ nextInTable }) => nextInTable === undefined));
});

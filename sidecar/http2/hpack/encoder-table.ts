import type { Field } from '../../http/field.ts';
import { DynamicTable, fieldBytes } from './dynamic-table.ts';
import { hashOfField, hashOfName } from './field-hash.ts';
import { SerialChains } from './serial-chains.ts';
import { STATIC_COUNT } from './static-table.ts';

/** What no entry has: indexes begin at 1 (RFC 7541 section 2.3.3). */
export const NO_INDEX = 0;
const FIRST_INDEX = STATIC_COUNT + 1;

/**
 * An encoder's dynamic table, with the ways to an entry's index: by the field itself, by its texts, by its
 * name.
 */
export class EncoderTable {
  private readonly table: DynamicTable;
  /** Of each entry's field its serial number; of fields of the static table that were met, -index. */
  private readonly places = new Map<Field, number>();
  private fields: SerialChains;
  private names: SerialChains;

  /** `table`: an empty one. */
  constructor(table = new DynamicTable()) {
    this.table = table;
    this.fields = new SerialChains(table.maxBytes);
    this.names = new SerialChains(table.maxBytes);
  }

  get maxBytes(): number {
    return this.table.maxBytes;
  }

  /** The index of the entry that is this very object, or NO_INDEX. */
  indexOfSame(field: Field): number {
    const place = this.places.get(field);
    if (place === undefined) return NO_INDEX;
    return place < 0 ? -place : FIRST_INDEX + this.table.ageOf(place);
  }

  /** `index` is that of `field`, an object of the static table: `indexOfSame` finds it from now on. */
  rememberStatic(field: Field, index: number): void {
    this.places.set(field, -index);
  }

  /** The index of the newest entry with the texts of `field`, whose hash is `hash`, or NO_INDEX. */
  indexOfField(field: Field, hash: number): number {
    const { table, fields } = this;
    let before = -1;
    // Numbers of entries that were evicted are left in the chains: their age tells them. So it does of those
    // that come again when the numbers have gone round: ages grow along a chain.
    for (let serial = fields.first(hash); ; serial = fields.next(serial)) {
      const age = table.ageOf(serial);
      const entry = age > before ? table.at(age) : undefined;
      if (entry === undefined) return NO_INDEX;
      if (entry.value === field.value && entry.name === field.name) return FIRST_INDEX + age;
      before = age;
    }
  }

  /** The index of the newest entry of this name, whose hash is `hash`, or NO_INDEX. */
  indexOfName(name: string, hash: number): number {
    const { table, names } = this;
    let before = -1;
    for (let serial = names.first(hash); ; serial = names.next(serial)) {
      const age = table.ageOf(serial);
      const entry = age > before ? table.at(age) : undefined;
      if (entry === undefined) return NO_INDEX;
      if (entry.name === name) return FIRST_INDEX + age;
      before = age;
    }
  }

  /** Adds an entry that is no larger than the table. */
  add(field: Field, nameHash: number, fieldHash: number): void {
    const { table } = this;
    this.keepWithin(table.maxBytes - fieldBytes(field));
    table.add(field);
    this.places.set(field, table.newest);
    this.fields.add(fieldHash, table.newest);
    this.names.add(nameHash, table.newest);
  }

  resize(maxBytes: number): void {
    this.keepWithin(maxBytes);
    if (maxBytes > this.table.maxBytes) this.makeChains(maxBytes);
    this.table.maxBytes = maxBytes;
  }

  private keepWithin(bytes: number): void {
    while (this.table.bytes > bytes) this.places.delete(this.table.dropOldest());
  }

  private makeChains(maxBytes: number): void {
    const { table } = this;
    this.fields = new SerialChains(maxBytes);
    this.names = new SerialChains(maxBytes);
    for (let age = table.count - 1; age >= 0; age--) {
      const { name, value } = table.at(age) as Field; // there are `count` entries
      const nameHash = hashOfName(name);
      const serial = (table.newest - age) >>> 0;
      this.names.add(nameHash, serial);
      this.fields.add(hashOfField(nameHash, value), serial);
    }
  }
}

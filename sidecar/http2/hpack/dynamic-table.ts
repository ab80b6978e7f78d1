import type { Field } from '../../http/field.ts';

/** What an entry counts beside its texts (RFC 7541 section 4.1), bytes. */
export const ENTRY_OVERHEAD = 32;
/** The size that both sides begin with (RFC 9113 section 6.5.2), bytes. */
export const INITIAL_TABLE_BYTES = 4096;

const FIRST_SLOTS = 32;

/** Bytes that a field counts for in a table and in a list (RFC 7541 section 4.1, RFC 9113 section 6.5.2). */
export function fieldBytes(field: Field): number {
  return field.name.length + field.value.length + ENTRY_OVERHEAD;
}

/**
 * The dynamic table of one direction (RFC 7541 section 2.3.2): a ring of fields. An entry is known by its
 * serial number, which goes round at 2^32, or by its age: 0 is the newest.
 */
export class DynamicTable {
  /** The serial number of the newest entry. */
  newest = 0;
  count = 0;
  bytes = 0;
  maxBytes = INITIAL_TABLE_BYTES;
  private ring: (Field | undefined)[] = new Array(FIRST_SLOTS).fill(undefined);
  private mask = FIRST_SLOTS - 1;

  /** The entry of this age, or undefined. */
  at(age: number): Field | undefined {
    return age < this.count ? this.ring[(this.newest - age) & this.mask] : undefined;
  }

  /** The age of an entry by its serial number; `count` or more when it is no longer there. */
  ageOf(serial: number): number {
    return (this.newest - serial) >>> 0;
  }

  /** Adds an entry, for which there is room. */
  add(field: Field): void {
    if (this.count > this.mask) this.grow();
    this.newest = (this.newest + 1) >>> 0;
    this.ring[this.newest & this.mask] = field;
    this.count++;
    this.bytes += fieldBytes(field);
  }

  /** Evicts the oldest entry. The table has one. */
  dropOldest(): Field {
    const slot = (this.newest - this.count + 1) & this.mask;
    const field = this.ring[slot] as Field; // the table is not empty
    this.ring[slot] = undefined;
    this.count--;
    this.bytes -= fieldBytes(field);
    return field;
  }

  /** Evicts the oldest entries until no more than `bytes` are used (RFC 7541 sections 4.3 and 4.4). */
  keepWithin(bytes: number): void {
    while (this.bytes > bytes) this.dropOldest();
  }

  private grow(): void {
    const mask = this.mask * 2 + 1;
    const ring: (Field | undefined)[] = new Array(mask + 1).fill(undefined);
    for (let age = 0; age < this.count; age++) ring[(this.newest - age) & mask] = this.at(age);
    this.ring = ring;
    this.mask = mask;
  }
}

import { ENTRY_OVERHEAD } from './dynamic-table.ts';

/**
 * Serial numbers of a table's entries by a hash, those of one bucket chained from the newest on. Nothing is
 * ever taken out, and the memory is that of the arrays: who walks a chain stops at the first number that is
 * no longer in the table.
 */
export class SerialChains {
  private readonly mask: number;
  /** By hash: the newest number of the bucket. */
  private readonly newest: Uint32Array;
  /** By number: the one before it in its bucket. */
  private readonly before: Uint32Array;

  /** For a table of `maxBytes`. */
  constructor(maxBytes: number) {
    const entries = Math.ceil(maxBytes / ENTRY_OVERHEAD);
    const slots = 2 ** Math.ceil(Math.log2(Math.max(2, entries)));
    this.mask = slots - 1;
    this.newest = new Uint32Array(slots);
    this.before = new Uint32Array(slots);
  }

  first(hash: number): number {
    return this.newest[hash & this.mask] as number; // the mask keeps it within
  }

  next(serial: number): number {
    return this.before[serial & this.mask] as number; // likewise
  }

  add(hash: number, serial: number): void {
    this.before[serial & this.mask] = this.first(hash);
    this.newest[hash & this.mask] = serial;
  }
}

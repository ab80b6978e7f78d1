/** Numbers that a header line has in `offsets`: name start, name end, value start, value end. */
export const STRIDE = 4;

/** More than this many are not kept for reuse: a burst of clients must not hold its memory for good. */
const KEPT = 256;

/** Where the header lines of one head lie in its text, and what becomes of each. */
export class LineTable {
  readonly offsets: Int32Array;
  /** KEEP, HOP_BY_HOP or REMOVED for each line. */
  readonly fate: Uint8Array;

  constructor(lines: number) {
    this.offsets = new Int32Array(lines * STRIDE);
    this.fate = new Uint8Array(lines);
  }
}

/** The table of a head that has no lines. */
export const NO_LINES = new LineTable(0);

const unused: LineTable[] = [];

/**
 * A table for so many lines, for one head until it is given back. An idle connection has none: it would be
 * the largest thing that it has. What stands in the table is of some head before.
 */
export function borrowLines(lines: number): LineTable {
  const table = unused.pop();
  // Whoever allows another number of lines makes tables of its own.
  return table !== undefined && table.fate.length === lines ? table : new LineTable(lines);
}

/** The head must have let go of the table: from now on another may write into it. */
export function giveBackLines(table: LineTable): void {
  if (table !== NO_LINES && unused.length < KEPT) unused.push(table);
}

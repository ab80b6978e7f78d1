import { Field } from '../../http/field.ts';
import { DynamicTable, fieldBytes } from './dynamic-table.ts';
import { huffmanDecode, mostDecodedBytes } from './huffman.ts';
import { IntegerReader } from './integer.ts';
import { knownField } from './known-fields.ts';
import {
  HUFFMAN,
  INDEXED,
  INDEXED_MASK,
  LENGTH_MASK,
  NEVER_INDEXED,
  NOT_KEPT_MASK,
  SIZE_UPDATE,
  SIZE_UPDATE_MASK,
  WITH_INDEXING,
  WITH_INDEXING_MASK,
} from './representation.ts';
import { STATIC_COUNT, STATIC_FIELDS } from './static-table.ts';

export interface HpackLimits {
  /** Our SETTINGS_HEADER_TABLE_SIZE, bytes: the largest size that the peer may tell. Until it tells one, it has 4096. */
  readonly tableBytes: number;
  /** Most bytes of a decoded list, counted as in RFC 9113 section 6.5.2: name, value and 32 each. */
  readonly listBytes: number;
  /** Most fields of a list. */
  readonly fields: number;
}

/**
 * 'ok', or why a block is refused. After 'list-too-large' and 'too-many-fields' the connection can go on: the
 * block was read to its end, and the list is cut. 'malformed' is a COMPRESSION_ERROR. 'bomb': the block stands
 * for so much more than the limits that it was not read on; the connection has to end.
 */
export type HpackVerdict = 'ok' | 'list-too-large' | 'too-many-fields' | 'malformed' | 'bomb';

/** The bits of a pattern of three, as SIZE_UPDATE. */
const PATTERN_BITS = 0xe0;
/** So many times the limit of a list is still read, to keep the table in step. */
const BOMB_FACTOR = 4;

/** Huffman texts are decoded here before they become strings; longer ones get a buffer of their own. */
const scratch = Buffer.allocUnsafeSlow(4096);

/** Decodes the header blocks of one direction of a connection (RFC 7541). Texts are not validated. */
export class HpackDecoder {
  private readonly limits: HpackLimits;
  private readonly maxWork: number;
  private readonly table = new DynamicTable();
  private readonly integers = new IntegerReader();
  /** The offset after what was read last. */
  private after = 0;
  /** Why `literal` or `text` returned undefined. */
  private refusal: HpackVerdict = 'malformed';

  constructor(limits: HpackLimits) {
    this.limits = limits;
    this.maxWork = limits.listBytes * BOMB_FACTOR;
  }

  /**
   * Decodes one whole header block, appending to `into`. Fields of the static and the dynamic table are
   * handed out as they are: the same entry is the same object each time.
   */
  decode(bytes: Buffer, start: number, end: number, into: Field[]): HpackVerdict {
    const { listBytes, fields } = this.limits;
    const full = into.length + fields;
    let verdict: HpackVerdict = 'ok';
    let decoded = 0;
    if (!this.sizeUpdates(bytes, start, end)) return 'malformed';
    while (this.after < end) {
      const byte = bytes[this.after] as number; // below end
      const field = byte >= INDEXED ? this.indexed(bytes, byte, end) : this.literal(bytes, byte, end);
      if (field === undefined) return this.refusal;
      decoded += fieldBytes(field);
      if (decoded > this.maxWork) return 'bomb';
      if (verdict !== 'ok') continue;
      if (decoded > listBytes) verdict = 'list-too-large';
      else if (into.length >= full) verdict = 'too-many-fields';
      else into.push(field);
    }
    return verdict;
  }

  /** Sizes of the table, at a block's begin only (section 4.2). False: malformed. */
  private sizeUpdates(bytes: Buffer, start: number, end: number): boolean {
    this.refusal = 'malformed';
    this.after = start;
    while (this.after < end && ((bytes[this.after] as number) & PATTERN_BITS) === SIZE_UPDATE) {
      const size = this.integer(bytes, this.after, end, SIZE_UPDATE_MASK);
      if (size < 0 || size > this.limits.tableBytes) return false;
      this.table.maxBytes = size;
      this.table.keepWithin(size);
    }
    return true;
  }

  private indexed(bytes: Buffer, byte: number, end: number): Field | undefined {
    if (byte === (INDEXED | INDEXED_MASK))
      return this.entry(this.integer(bytes, this.after, end, INDEXED_MASK));
    this.after++;
    return this.entry(byte & INDEXED_MASK);
  }

  /** The entry of an index (section 2.3.3), or undefined. */
  private entry(index: number): Field | undefined {
    if (index > STATIC_COUNT) return this.table.at(index - STATIC_COUNT - 1);
    return index > 0 ? STATIC_FIELDS[index - 1] : undefined;
  }

  private literal(bytes: Buffer, byte: number, end: number): Field | undefined {
    if ((byte & PATTERN_BITS) === SIZE_UPDATE) return undefined; // not at the block's begin
    const withIndexing = byte >= WITH_INDEXING;
    const name = this.name(bytes, end, withIndexing ? WITH_INDEXING_MASK : NOT_KEPT_MASK);
    if (name === undefined) return undefined;
    const value = this.text(bytes, end);
    if (value === undefined) return undefined;
    if (!withIndexing) return new Field(name, value, byte >= NEVER_INDEXED);
    return this.kept(knownField(name, value));
  }

  private name(bytes: Buffer, end: number, mask: number): string | undefined {
    const index = this.integer(bytes, this.after, end, mask);
    return index === 0 ? this.text(bytes, end) : this.entry(index)?.name;
  }

  /** Adds to the table; an entry that is too large for it only empties it (section 4.4). */
  private kept(field: Field): Field {
    const { table } = this;
    const room = table.maxBytes - fieldBytes(field);
    table.keepWithin(Math.max(0, room));
    if (room >= 0) table.add(field);
    return field;
  }

  /** A string literal (section 5.2). */
  private text(bytes: Buffer, end: number): string | undefined {
    const at = this.after;
    if (at >= end) return undefined;
    const huffman = (bytes[at] as number) >= HUFFMAN; // below end
    const length = this.integer(bytes, at, end, LENGTH_MASK);
    const start = this.after;
    if (length < 0 || length > end - start) return undefined;
    if (length > this.maxWork) {
      this.refusal = 'bomb';
      return undefined;
    }
    this.after = start + length;
    return huffman ? huffmanText(bytes, start, this.after) : bytes.toString('latin1', start, this.after);
  }

  /** Reads an integer at `at`, which is below `end`, and goes after it; below 0: malformed. */
  private integer(bytes: Buffer, at: number, end: number, mask: number): number {
    const value = this.integers.read(bytes, at, end, mask);
    this.after = this.integers.after;
    return value;
  }
}

function huffmanText(bytes: Buffer, start: number, end: number): string | undefined {
  const most = mostDecodedBytes(end - start);
  const target = most <= scratch.length ? scratch : Buffer.allocUnsafe(most);
  const length = huffmanDecode(bytes, start, end, target);
  return length < 0 ? undefined : target.toString('latin1', 0, length);
}

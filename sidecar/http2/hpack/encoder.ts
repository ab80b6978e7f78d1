import type { Field } from '../../http/field.ts';
import { fieldBytes, INITIAL_TABLE_BYTES } from './dynamic-table.ts';
import { EncoderTable, NO_INDEX } from './encoder-table.ts';
import { hashOfField, hashOfName } from './field-hash.ts';
import { huffmanEncode, huffmanLength } from './huffman.ts';
import { writeInteger } from './integer.ts';
import { RecentFields } from './recent-fields.ts';
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
  WITHOUT_INDEXING,
} from './representation.ts';
import { STATIC_FIELDS, staticFieldIndex, staticNameIndex } from './static-table.ts';

/** Bytes: a larger table of the peer is not used further. */
const MAX_TABLE_BYTES = 16 * 1024;
/** Two size updates, a representation's first byte and index, and two lengths, each at its longest. */
const ROOM_BESIDE_TEXTS = 5 * 6;
/** Shorter ones could be guessed, a try at a time (section 7.1.3). */
const SHORTEST_KEPT_SECRET = 20;
const SECRETS: ReadonlySet<number> = new Set(
  ['authorization', 'cookie', 'proxy-authorization'].map(staticNameIndex),
);

/**
 * Encodes the header blocks of one direction of a connection (RFC 7541). The table gets what is likely to
 * come again: fields that were met before, and the first field of a name, so that the next one has the
 * name's index.
 */
export class HpackEncoder {
  private readonly table = new EncoderTable();
  private readonly recent = new RecentFields();
  private peerBytes = INITIAL_TABLE_BYTES;
  /** The least size since the last block, or -1 when no size has to be told. */
  private leastBytes = -1;

  /** Most bytes that `encode` or `encodeOnce` can need for a field, size updates of the block included. */
  static room(field: Pick<Field, 'name' | 'value'>): number {
    return field.name.length + field.value.length + ROOM_BESIDE_TEXTS;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE; the next block tells what is used of it. */
  setMaxTableBytes(bytes: number): void {
    const before = Math.min(this.peerBytes, MAX_TABLE_BYTES);
    const now = Math.min(bytes, MAX_TABLE_BYTES);
    // A reduction is always told, even one that leaves our size as it was (RFC 9113 section 4.3.1).
    if (now !== before || bytes < this.peerBytes) {
      this.leastBytes = this.leastBytes < 0 ? now : Math.min(this.leastBytes, now);
    }
    this.peerBytes = bytes;
  }

  /** Starts a block: writes the sizes that have to be told (section 4.2). Returns the offset after them. */
  begin(target: Buffer, at: number): number {
    const least = this.leastBytes;
    if (least < 0) return at;
    this.leastBytes = -1;
    const last = Math.min(this.peerBytes, MAX_TABLE_BYTES);
    const to = least < last ? this.resize(least, target, at) : at;
    return this.resize(last, target, to);
  }

  /** Writes a field at `at`, where there is `room`. Returns the offset after it. */
  encode(field: Field, target: Buffer, at: number): number {
    const index = this.table.indexOfSame(field);
    return index === NO_INDEX ? this.encodeByText(field, target, at) : writeIndex(index, target, at);
  }

  /** Writes a field whose value is new each time: it never goes into the table. */
  encodeOnce(name: string, value: string, target: Buffer, at: number): number {
    const index = this.nameIndex(name, staticNameIndex(name), hashOfName(name));
    return writeLiteral(WITHOUT_INDEXING, index, name, value, target, at);
  }

  private encodeByText(field: Field, target: Buffer, at: number): number {
    const { name, value } = field;
    const staticName = staticNameIndex(name);
    const nameHash = hashOfName(name);
    if (field.sensitive || (value.length < SHORTEST_KEPT_SECRET && SECRETS.has(staticName))) {
      const index = this.nameIndex(name, staticName, nameHash);
      return writeLiteral(NEVER_INDEXED, index, name, value, target, at);
    }
    const fieldHash = hashOfField(nameHash, value);
    const index = this.fieldIndex(field, staticName, fieldHash);
    if (index !== NO_INDEX) return writeIndex(index, target, at);
    const nameIndex = this.nameIndex(name, staticName, nameHash);
    if (!this.isWorthKeeping(field, nameIndex, fieldHash)) {
      return writeLiteral(WITHOUT_INDEXING, nameIndex, name, value, target, at);
    }
    const to = writeKeptLiteral(nameIndex, name, value, target, at);
    this.table.add(field, nameHash, fieldHash);
    return to;
  }

  /** The index of an entry of the texts of `field`, or NO_INDEX. */
  private fieldIndex(field: Field, staticName: number, fieldHash: number): number {
    const index = staticFieldIndex(field, staticName);
    if (index === NO_INDEX) return this.table.indexOfField(field, fieldHash);
    if (STATIC_FIELDS[index - 1] === field) this.table.rememberStatic(field, index);
    return index;
  }

  /** The index of an entry of this name, or NO_INDEX. */
  private nameIndex(name: string, staticName: number, nameHash: number): number {
    return staticName === NO_INDEX ? this.table.indexOfName(name, nameHash) : staticName;
  }

  private isWorthKeeping(field: Field, nameIndex: number, fieldHash: number): boolean {
    const { maxBytes } = this.table;
    if (field.value.length * 4 > maxBytes || fieldBytes(field) > maxBytes) return false;
    return this.recent.meet(fieldHash) || nameIndex === NO_INDEX;
  }

  private resize(bytes: number, target: Buffer, at: number): number {
    this.table.resize(bytes);
    return writeInteger(bytes, SIZE_UPDATE_MASK, SIZE_UPDATE, target, at);
  }
}

function writeIndex(index: number, target: Buffer, at: number): number {
  return writeInteger(index, INDEXED_MASK, INDEXED, target, at);
}

/** Plain: to shorten what is said once costs more than it saves. */
function writeLiteral(
  pattern: number,
  nameIndex: number,
  name: string,
  value: string,
  target: Buffer,
  at: number,
): number {
  const to = writeInteger(nameIndex, NOT_KEPT_MASK, pattern, target, at);
  return writePlain(value, target, nameIndex === NO_INDEX ? writePlain(name, target, to) : to);
}

function writeKeptLiteral(
  nameIndex: number,
  name: string,
  value: string,
  target: Buffer,
  at: number,
): number {
  const to = writeInteger(nameIndex, WITH_INDEXING_MASK, WITH_INDEXING, target, at);
  return writeShorter(value, target, nameIndex === NO_INDEX ? writeShorter(name, target, to) : to);
}

function writePlain(text: string, target: Buffer, at: number): number {
  const to = writeInteger(text.length, LENGTH_MASK, 0, target, at);
  target.write(text, to, 'latin1');
  return to + text.length;
}

function writeShorter(text: string, target: Buffer, at: number): number {
  const length = huffmanLength(text);
  if (length >= text.length) return writePlain(text, target, at);
  return huffmanEncode(text, target, writeInteger(length, LENGTH_MASK, HUFFMAN, target, at));
}

/** Most bytes of an integer, its prefix included. */
const MAX_BYTES = 6;
const MAX_VALUE = 2 ** 31 - 1;
export const MALFORMED_INTEGER = -1;

/** Reads integers of RFC 7541 section 5.1; `after` is the offset after the last one read. */
export class IntegerReader {
  after = 0;

  /**
   * Reads the integer whose prefix is the bits `mask` of bytes[at]; `at` is below `end`. Returns
   * MALFORMED_INTEGER for one that is cut off, above 2^31 - 1, or of more than six bytes.
   */
  read(bytes: Uint8Array, at: number, end: number, mask: number): number {
    const prefix = (bytes[at] as number) & mask; // at is below end
    this.after = at + 1;
    return prefix < mask ? prefix : this.continued(bytes, at + 1, Math.min(end, at + MAX_BYTES), mask);
  }

  private continued(bytes: Uint8Array, start: number, end: number, prefix: number): number {
    let value = prefix;
    let weight = 1; // 7 bits a byte: an integer of 32 bits would overflow
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number; // at is below end
      value += (byte & 0x7f) * weight;
      if (value > MAX_VALUE) return MALFORMED_INTEGER;
      if (byte < 0x80) {
        this.after = at + 1;
        return value;
      }
      weight *= 128;
    }
    return MALFORMED_INTEGER;
  }
}

/** Writes `value` with a prefix of the bits `mask`, `pattern` in the bits above. Returns the offset after it. */
export function writeInteger(
  value: number,
  mask: number,
  pattern: number,
  target: Uint8Array,
  at: number,
): number {
  if (value < mask) {
    target[at] = pattern | value;
    return at + 1;
  }
  target[at] = pattern | mask;
  let to = at + 1;
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) target[to++] = (rest & 0x7f) | 0x80;
  target[to] = rest;
  return to + 1;
}

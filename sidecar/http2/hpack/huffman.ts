import { CODE_LENGTHS, EOS } from './huffman-table.ts';

// A step of the reader takes four bits of input: from a state (a node of the code's tree), by a nibble, to a
// next state, with at most one symbol told, since no code is shorter than five bits. 16 KiB in all.
const SYMBOL = 0xff;
const STATE_SHIFT = 8;
const TELLS = 1 << 16;
const FAILS = 1 << 17;
const STATES = EOS; // a binary tree of 257 leaves has 256 inner nodes
const ROOT = 0;

const CODES = canonicalCodes();
const LENGTHS = Uint8Array.from(CODE_LENGTHS);
const STEPS = new Uint32Array(STATES * 16);
/** States in which a text may end: up to seven bits, all ones, after a symbol (section 5.2). */
const MAY_END = new Uint8Array(STATES);
buildSteps();

function canonicalCodes(): Uint32Array {
  const codes = new Uint32Array(CODE_LENGTHS.length);
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    for (let symbol = 0; symbol < codes.length; symbol++) {
      if (CODE_LENGTHS[symbol] === length) codes[symbol] = code++;
    }
    code *= 2;
  }
  return codes;
}

/** Children of each inner node: an inner node's number, or ~symbol. */
function codeTree(): Int16Array {
  const tree = new Int16Array(STATES * 2);
  let nodes = 1;
  CODE_LENGTHS.forEach((length, symbol) => {
    const code = CODES[symbol] as number; // as long as CODE_LENGTHS
    let node = ROOT;
    for (let bit = length - 1; bit > 0; bit--) {
      const branch = node * 2 + ((code >>> bit) & 1);
      if (tree[branch] === 0) tree[branch] = nodes++;
      node = tree[branch] as number; // set just now, or before
    }
    tree[node * 2 + (code & 1)] = ~symbol;
  });
  return tree;
}

function buildSteps(): void {
  const tree = codeTree();
  for (let state = 0; state < STATES; state++) {
    for (let nibble = 0; nibble < 16; nibble++) STEPS[state * 16 + nibble] = stepOf(tree, state, nibble);
  }
  for (let node = ROOT, ones = 0; ones <= 7; ones++) {
    MAY_END[node] = 1;
    node = tree[node * 2 + 1] as number; // no code of eight ones or fewer: an inner node
  }
}

function stepOf(tree: Int16Array, state: number, nibble: number): number {
  let node = state;
  let told = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const child = tree[node * 2 + ((nibble >> bit) & 1)] as number; // two children for each node
    if (child === ~EOS) return FAILS;
    if (child < 0) told = TELLS | ~child;
    node = child < 0 ? ROOT : child;
  }
  return told | (node << STATE_SHIFT);
}

/** Bytes that `length` bytes of Huffman code can stand for, at most: no code is shorter than five bits. */
export function mostDecodedBytes(length: number): number {
  return Math.ceil((length * 8) / 5);
}

/**
 * Decodes bytes[start, end) into `target`, which has `mostDecodedBytes` of room. Returns the number of bytes
 * written, or -1: EOS in the text, or a wrong padding (section 5.2).
 */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let state = ROOT;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number; // at is below end
    let step = STEPS[(state << 4) | (byte >> 4)] as number; // states have sixteen steps each
    if ((step & TELLS) !== 0) target[length++] = step & SYMBOL;
    if ((step & FAILS) !== 0) return -1;
    step = STEPS[((step >> STATE_SHIFT) & 0xff) * 16 + (byte & 15)] as number; // likewise
    if ((step & TELLS) !== 0) target[length++] = step & SYMBOL;
    if ((step & FAILS) !== 0) return -1;
    state = (step >> STATE_SHIFT) & 0xff;
  }
  return MAY_END[state] === 1 ? length : -1;
}

/** Bytes of `text` (latin1) in Huffman code. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += LENGTHS[text.charCodeAt(i) & 0xff] as number; // all 256 are there
  return (bits + 7) >>> 3;
}

/** Writes `text` (latin1) in Huffman code at `at`, padded with ones. Returns the offset after it. */
export function huffmanEncode(text: string, target: Uint8Array, at: number): number {
  let kept = 0; // the last bits of the code so far: those that make no whole byte yet, and some before
  let bits = 0; // how many make no whole byte yet
  let to = at;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const code = CODES[symbol] as number; // all 256 are there
    let length = LENGTHS[symbol] as number; // likewise
    // 7 bits and 30 are more than an integer has: a long code goes in two parts.
    for (; length > 0; length -= 16) {
      const part = Math.min(length, 16);
      kept = (kept << part) | ((code >>> (length - part)) & (0xffff >> (16 - part)));
      for (bits += part; bits >= 8; bits -= 8) target[to++] = kept >>> (bits - 8);
    }
  }
  if (bits > 0) target[to++] = (kept << (8 - bits)) | (0xff >> bits);
  return to;
}

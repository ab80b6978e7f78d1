import { isIP } from 'node:net';
import { entries } from './port-ranges.ts';

/** A block of addresses, as the kernel's tools write it. */
export interface AddressBlock {
  readonly family: 4 | 6;
  /** Its first address, and how many bits all of them share: `10.0.0.0/8`, `fd00::/8`. */
  readonly text: string;
  readonly bits: number;
}

/**
 * Reads a list like `10.0.0.0/8,fd00::/8,192.0.2.7`; an empty text is an empty list. Throws an Error that names the
 * field, the value and what was meant: a block whose address lies inside of it is taken for a mistake.
 */
export function parseAddressBlocks(field: string, text: string): AddressBlock[] {
  return entries(text).map((entry) => {
    const [address = '', length, ...rest] = entry.split('/');
    const family = address.includes('%') ? 0 : isIP(address);
    const width = family === 4 ? 32 : 128;
    const bits = length === undefined ? width : lengthOf(length, width);
    if (family === 0 || bits === undefined || rest.length > 0) {
      throw new Error(
        `${field} "${text}": "${entry}" is no block of addresses; write them like 10.0.0.0/8, fd00::/8 or 192.0.2.7`,
      );
    }
    const bytes = bytesOf(address, family === 4 ? 4 : 6);
    if (family === 6 && bits >= 96 && holdsIpv4(bytes)) {
      throw new Error(`${field} "${text}": "${entry}" is IPv4 written as IPv6; write the IPv4 block itself`);
    }
    const first = textOf(firstBytes(bytes, bits));
    if (first !== textOf(bytes)) {
      throw new Error(
        `${field} "${text}": ${address} is inside of its block, not its begin; write ${first}/${bits} for the whole ` +
          `block, or ${address} for this one address`,
      );
    }
    return { family: family === 4 ? 4 : 6, text: `${first}/${bits}`, bits };
  });
}

function lengthOf(text: string, width: number): number | undefined {
  return /^\d{1,3}$/.test(text) && Number(text) <= width ? Number(text) : undefined;
}

function firstBytes(bytes: readonly number[], bits: number): number[] {
  return bytes.map((byte, at) => {
    const kept = Math.min(8, Math.max(0, bits - at * 8));
    return byte & (0xff00 >> kept);
  });
}

/** RFC 4291 section 2.5.5: no packet has such addresses, a socket shows IPv4 by them. */
function holdsIpv4(bytes: readonly number[]): boolean {
  return bytes.slice(0, 10).every((byte) => byte === 0) && textOf(bytes) !== '::1';
}

function bytesOf(address: string, family: 4 | 6): number[] {
  if (family === 4) return address.split('.').map(Number);
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::', 2);
  const [before, after] = [groups(head), groups(tail ?? '')];
  const words = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  return words.flatMap((word) => [word >> 8, word & 0xff]);
}

function groups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}

/** The short form of RFC 5952 for IPv6, which is that of URLs. */
function textOf(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join('.');
  const text = Buffer.from(bytes)
    .toString('hex')
    .replace(/(.{4})(?=.)/g, '$1:');
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

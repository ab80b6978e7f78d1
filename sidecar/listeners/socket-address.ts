import { endianness, networkInterfaces } from 'node:os';
import { ipv4Text, ipv6Text } from '../tcp/ip-text.ts';

/** Where a connection goes: an IP address without brackets, and a port. */
export interface IpPort {
  readonly host: string;
  readonly port: number;
}

/** Bytes of Linux' `sockaddr_in` and `sockaddr_in6` (ip(7), ipv6(7)). */
export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN6_BYTES = 28;

/** Port and address are in network byte order, the scope is a number of the machine's own. */
const SCOPE_IS_LITTLE_ENDIAN = endianness() === 'LE';

/** Reads a `sockaddr_in`: family, port, address. */
export function readSockaddrIn(bytes: Buffer): IpPort {
  return { host: ipv4Text(bytes.subarray(4, 8)), port: bytes.readUInt16BE(2) };
}

/**
 * Reads a `sockaddr_in6`: family, port, flow, address, scope. A link-local address is none without its scope, which
 * is written as Node does, by the name of the interface: `fe80::1%eth0`.
 */
export function readSockaddrIn6(bytes: Buffer, nameOf: (scope: number) => string = interfaceName): IpPort {
  const host = ipv6Text(bytes.subarray(8, 24));
  const scope = SCOPE_IS_LITTLE_ENDIAN ? bytes.readUInt32LE(24) : bytes.readUInt32BE(24);
  return { host: scope === 0 ? host : `${host}%${nameOf(scope)}`, port: bytes.readUInt16BE(2) };
}

function interfaceName(scope: number): string {
  const found = Object.entries(networkInterfaces()).find(([, addresses]) =>
    addresses?.some(({ scopeid }) => scopeid === scope),
  );
  return found?.[0] ?? String(scope);
}

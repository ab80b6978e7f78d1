import { isIPv4, isIPv6 } from 'node:net';
import { ipv4Text, ipv6Text } from './ip-text.ts';

/** What a client's sidecar says first on an opaque connection between sidecars. */
export interface ProxyHeader {
  /** The service meant, `namespace/name`, and its port. To be written it may have its port in its name, as in a cluster. */
  readonly service: string;
  readonly port: number;
  /** Both ends of the connection as the client opened it, HOST:PORT each (IPv6 in brackets); undefined: not known. */
  readonly source: string | undefined;
  readonly destination: string | undefined;
}

/** PROXY protocol version 2 (haproxy.org, proxy-protocol.txt, section 2.2). */
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const FIXED_BYTES = 16;
const VERSION_AND_PROXY = 0x21;
const UNSPECIFIED = 0x00;
const TCP4 = 0x11;
const TCP6 = 0x21;
const PP2_TYPE_AUTHORITY = 0x02;
/** Bytes of both addresses with their ports. */
const ADDRESS_BYTES: Readonly<Record<number, number>> = { [UNSPECIFIED]: 0, [TCP4]: 12, [TCP6]: 36 };
/** More than this after the fixed part is nothing that a sidecar sends. */
const MAX_BYTES = 512;

/** Names of pods, which may be meant too, have dots (RFC 1123 subdomains). */
const AUTHORITY =
  /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\/[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?):(\d{1,5})$/;

/** The bytes of a header. Addresses that are no IP addresses are left out. */
export function writeProxyHeader({ service, port, source, destination }: ProxyHeader): Buffer {
  const { family, addresses } = writeAddresses(source, destination);
  const authority = Buffer.from(service.includes(':') ? service : `${service}:${port}`, 'latin1');
  const length = addresses.length + 3 + authority.length;
  const fixed = Buffer.from([VERSION_AND_PROXY, family, length >> 8, length & 0xff]);
  const tlv = Buffer.from([PP2_TYPE_AUTHORITY, authority.length >> 8, authority.length & 0xff]);
  return Buffer.concat([SIGNATURE, fixed, addresses, tlv, authority]);
}

function writeAddresses(
  source: string | undefined,
  destination: string | undefined,
): { family: number; addresses: Buffer } {
  const from = source === undefined ? undefined : splitIp(source);
  const to = destination === undefined ? undefined : splitIp(destination);
  if (from === undefined || to === undefined) return { family: UNSPECIFIED, addresses: Buffer.alloc(0) };
  const both4 = isIPv4(from.ip) && isIPv4(to.ip);
  const ip = both4 ? ipv4Bytes : ipv6Bytes;
  const ports = Buffer.from([from.port >> 8, from.port & 0xff, to.port >> 8, to.port & 0xff]);
  return {
    family: both4 ? TCP4 : TCP6,
    addresses: Buffer.concat([ip(from.ip), ip(to.ip), ports]),
  };
}

/** IP and port; an IPv4 address that a socket of both families shows as IPv6 becomes IPv4 again. */
function splitIp(address: string): { ip: string; port: number } | undefined {
  const colon = address.lastIndexOf(':');
  const ip = address
    .slice(0, colon)
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:(?=\d+\.)/i, '');
  const port = Number(address.slice(colon + 1));
  return (isIPv4(ip) || isIPv6(ip)) && port <= 65535 ? { ip, port } : undefined;
}

function ipv4Bytes(ip: string): Buffer {
  return Buffer.from(ip.split('.').map(Number));
}

function ipv6Bytes(ip: string): Buffer {
  if (isIPv4(ip)) return Buffer.concat([Buffer.alloc(10), Buffer.from([0xff, 0xff]), ipv4Bytes(ip)]);
  const [plain = ''] = ip.split('%', 1);
  const [head = '', tail] = plain.split('::', 2);
  const before = groups(head);
  const after = tail === undefined ? Buffer.alloc(0) : groups(tail);
  return Buffer.concat([before, Buffer.alloc(Math.max(0, 16 - before.length - after.length)), after], 16);
}

function groups(text: string): Buffer {
  const parts = text.split(':').filter((part) => part !== '');
  return Buffer.concat(
    parts.map((part) => (isIPv4(part) ? ipv4Bytes(part) : Buffer.from(part.padStart(4, '0'), 'hex'))),
  );
}

/**
 * Reads the header at the begin of `bytes`. `more`: they are too few yet; undefined: this is no header of a
 * sidecar, told at the first byte that is wrong.
 */
export function readProxyHeader(
  bytes: Buffer,
): { readonly header: ProxyHeader; readonly length: number } | 'more' | undefined {
  const known = Math.min(bytes.length, SIGNATURE.length);
  if (bytes.compare(SIGNATURE, 0, known, 0, known) !== 0) return undefined;
  if (bytes.length > 12 && bytes[12] !== VERSION_AND_PROXY) return undefined;
  const family = bytes[13];
  if (family !== undefined && ADDRESS_BYTES[family] === undefined) return undefined;
  if (family === undefined || bytes.length < FIXED_BYTES) return 'more';
  const rest = bytes.readUInt16BE(14);
  if (rest > MAX_BYTES) return undefined;
  const length = FIXED_BYTES + rest;
  if (bytes.length < length) return 'more';
  const header = readBody(family, bytes.subarray(FIXED_BYTES, length));
  return header === undefined ? undefined : { header, length };
}

function readBody(family: number, body: Buffer): ProxyHeader | undefined {
  const addressBytes = ADDRESS_BYTES[family] ?? 0;
  if (body.length < addressBytes) return undefined;
  const authority = readAuthority(body.subarray(addressBytes));
  const [, service, digits] = AUTHORITY.exec(authority ?? '') ?? [];
  const port = Number(digits);
  if (service === undefined || port < 1 || port > 65535) return undefined;
  return { service, port, ...readAddresses(family, body) };
}

/** The one TLV that names the service; others are passed over. Undefined when there are two, or none, or one reaches past the end. */
function readAuthority(tlvs: Buffer): string | undefined {
  let authority: string | undefined;
  let at = 0;
  while (at + 3 <= tlvs.length) {
    const end = at + 3 + tlvs.readUInt16BE(at + 1);
    if (end > tlvs.length) return undefined;
    if (tlvs[at] === PP2_TYPE_AUTHORITY) {
      if (authority !== undefined) return undefined;
      authority = tlvs.toString('latin1', at + 3, end);
    }
    at = end;
  }
  return at === tlvs.length ? authority : undefined;
}

function readAddresses(family: number, body: Buffer): Pick<ProxyHeader, 'source' | 'destination'> {
  if (family === UNSPECIFIED) return { source: undefined, destination: undefined };
  const size = family === TCP4 ? 4 : 16;
  const ip = family === TCP4 ? ipv4Text : (bytes: Buffer) => `[${ipv6Text(bytes)}]`;
  const ports = size * 2;
  return {
    source: `${ip(body.subarray(0, size))}:${body.readUInt16BE(ports)}`,
    destination: `${ip(body.subarray(size, ports))}:${body.readUInt16BE(ports + 2)}`,
  };
}

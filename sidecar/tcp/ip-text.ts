/** The text of an IPv4 address of four bytes. */
export function ipv4Text(bytes: Buffer): string {
  return bytes.join('.');
}

/** The text of an IPv6 address of sixteen bytes, in the short form of RFC 5952, which is that of URLs. */
export function ipv6Text(bytes: Buffer): string {
  const text = bytes.toString('hex').replace(/(.{4})(?=.)/g, '$1:');
  return new URL(`http://[${text}]`).hostname.slice(1, -1);
}

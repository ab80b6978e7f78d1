/** Names of header fields, cookies and methods (RFC 9110 section 5.6.2). */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/;

/** A header value that ends no line. */
export const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Hop-by-hop and framing fields are the engine's, not a policy's. Lower case. */
export const FRAMING: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'keep-alive',
  'host',
]);

/** Whether a policy may write a header of this name. */
export function isPolicyHeader(name: string): boolean {
  return TOKEN.test(name) && !FRAMING.has(name.toLowerCase());
}

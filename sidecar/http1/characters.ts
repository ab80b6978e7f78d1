/** Bytes that have a meaning in HTTP/1.1 framing. */
export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;

function table(accept: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (accept(byte) ? 1 : 0));
}

/** tchar of RFC 9110 section 5.6.2: methods and field names. */
export const TOKEN = table((byte) => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(byte)));

/** field-vchar, SP and HTAB of RFC 9110 section 5.5, obs-text included. */
export const VALUE = table((byte) => byte === TAB || (byte >= SPACE && byte !== 0x7f));

/** What a request target may hold: visible ASCII without a fragment (RFC 9112 section 3.2). */
export const TARGET = table((byte) => byte > SPACE && byte < 0x7f && byte !== 0x23);

/** reg-name, IP-literal and port of a Host value (RFC 3986 section 3.2.2), percent-encoding left out. */
export const HOST = table((byte) => /[A-Za-z0-9\-._~:[\]]/.test(String.fromCharCode(byte)));

/** Hexadecimal digit's value, or -1. */
export const HEX = Int8Array.from({ length: 256 }, (_, byte) => {
  const digit = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(digit) ? -1 : digit;
});

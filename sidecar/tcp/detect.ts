/** What a connection speaks, told from its first bytes. */
export type DetectedProtocol = 'http1' | 'http2' | 'tls' | 'opaque';

/** What is looked for: anything, HTTP on a port that is HTTP, or only TLS on a port that is opaque. */
export type Expected = 'any' | 'http' | 'opaque';

/** The client's connection preface (RFC 9113 section 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Methods that no other text protocol joins with a space and a slash. */
const COMMON_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE']);
const MAX_METHOD = 20;
/** A request line of an unusual method or target is looked at up to here. */
const MAX_LINE = 8 * 1024;

const HANDSHAKE = 0x16;
const TLS_MAJOR = 0x03;
const CLIENT_HELLO = 0x01;
/** Where a record's first handshake message says what it is. */
const MESSAGE_TYPE = 5;
const MAX_RECORD = 16 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const SLASH = 0x2f;
const DELETE = 0x7f;

/**
 * Tells a connection's protocol as early as is safe; `more`: the bytes are too few yet. Once it has answered
 * something else than `more`, more bytes do not change the answer. Text protocols in which the client speaks
 * first (Redis' inline commands, SMTP, memcached, NATS) are not taken for HTTP.
 */
export function detectProtocol(bytes: Buffer): DetectedProtocol | 'more' {
  if (bytes.length === 0) return 'more';
  if (bytes[0] === HANDSHAKE) return detectTls(bytes);
  const same = commonLength(bytes, PREFACE);
  if (same === PREFACE.length) return 'http2';
  if (same === bytes.length) return 'more';
  return detectHttp1(bytes);
}

/** The same, where it is known what to look for: on an HTTP port all but HTTP/2 and TLS is HTTP/1, bad or good. */
export function detectExpected(expected: Expected, bytes: Buffer): DetectedProtocol | 'more' {
  const detected = detectProtocol(bytes);
  if (expected === 'any' || detected === 'tls') return detected;
  if (bytes.length === 0 || (detected === 'more' && bytes[0] === HANDSHAKE)) return 'more';
  if (expected === 'opaque') return 'opaque';
  if (detected === 'http2') return 'http2';
  return commonLength(bytes, PREFACE) === bytes.length ? 'more' : 'http1';
}

/** A handshake record that begins with a ClientHello (RFC 8446 sections 5.1 and 4). */
function detectTls(bytes: Buffer): DetectedProtocol | 'more' {
  if (bytes.length > 1 && bytes[1] !== TLS_MAJOR) return 'opaque';
  if (bytes.length >= MESSAGE_TYPE && bytes.readUInt16BE(3) > MAX_RECORD) return 'opaque';
  if (bytes.length <= MESSAGE_TYPE) return 'more';
  return bytes[MESSAGE_TYPE] === CLIENT_HELLO ? 'tls' : 'opaque';
}

function commonLength(bytes: Buffer, known: Buffer): number {
  const most = Math.min(bytes.length, known.length);
  let length = 0;
  while (length < most && bytes[length] === known[length]) length++;
  return length;
}

/** A request line: METHOD SP TARGET SP VERSION (RFC 9112 section 3). */
function detectHttp1(bytes: Buffer): DetectedProtocol | 'more' {
  const most = Math.min(bytes.length, MAX_METHOD + 1);
  let space = 0;
  while (space < most && isTokenCharacter(bytes[space])) space++;
  if (space === most) return most > MAX_METHOD ? 'opaque' : 'more';
  if (space === 0 || bytes[space] !== SPACE) return 'opaque';
  if (bytes.length === space + 1) return 'more';
  if (bytes[space + 1] === SLASH && COMMON_METHODS.has(bytes.toString('latin1', 0, space))) return 'http1';
  return detectLine(bytes, space + 1);
}

/** Looks for the version at the line's end. */
function detectLine(bytes: Buffer, from: number): DetectedProtocol | 'more' {
  const most = Math.min(bytes.length, MAX_LINE);
  for (let at = from; at < most; at++) {
    const byte = bytes[at] as number; // below the length
    if (byte === LF)
      return / HTTP\/1\.\d\r?\n$/.test(bytes.toString('latin1', 0, at + 1)) ? 'http1' : 'opaque';
    if (byte === CR) {
      if (at + 1 < bytes.length && bytes[at + 1] !== LF) return 'opaque';
    } else if (byte < SPACE || byte === DELETE) return 'opaque';
  }
  return most === MAX_LINE ? 'opaque' : 'more';
}

/** RFC 9110 section 5.6.2. */
function isTokenCharacter(byte: number | undefined): boolean {
  return byte !== undefined && TOKEN[byte] === 1;
}

const TOKEN = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  TOKEN[character.charCodeAt(0)] = 1;

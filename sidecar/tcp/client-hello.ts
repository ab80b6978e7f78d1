/** What the first bytes of a TLS connection ask for. */
export interface ClientHello {
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
}

const HANDSHAKE = 0x16;
const CLIENT_HELLO = 0x01;
const SERVER_NAME = 0;
const ALPN = 16;
/** A hello may span records; more than this is no client that we know. */
const MAX_BYTES = 16 * 1024 + 5;

export function looksLikeTls(firstByte: number | undefined): boolean {
  return firstByte === HANDSHAKE;
}

/**
 * Reads SNI and ALPN out of a ClientHello (RFC 8446 section 4.1.2) without answering it.
 * `more`: the bytes are too few yet; undefined: this is no ClientHello.
 */
export function readClientHello(bytes: Buffer): ClientHello | 'more' | undefined {
  const hello = handshakeBody(bytes);
  if (hello === undefined || hello === 'more') return hello;
  try {
    return parseHello(hello);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // a length that points past the end
    throw error;
  }
}

/** The handshake message out of its records; only a hello in one record is looked into. */
function handshakeBody(bytes: Buffer): Buffer | 'more' | undefined {
  if (bytes[0] !== HANDSHAKE) return undefined;
  if (bytes.length < 5) return 'more';
  const recordLength = bytes.readUInt16BE(3);
  if (recordLength + 5 > MAX_BYTES || bytes[1] !== 3) return undefined;
  if (bytes.length < 5 + recordLength) return 'more';
  if (recordLength < 4 || bytes[5] !== CLIENT_HELLO) return undefined;
  return bytes.subarray(9, 5 + recordLength);
}

function parseHello(hello: Buffer): ClientHello {
  let at = 34; // version and random
  at += 1 + hello.readUInt8(at); // session id
  at += 2 + hello.readUInt16BE(at); // cipher suites
  at += 1 + hello.readUInt8(at); // compression methods
  let serverName: string | undefined;
  let alpn: string[] = [];
  const end = at + 2 + (at + 2 <= hello.length ? hello.readUInt16BE(at) : 0);
  at += 2;
  while (at + 4 <= Math.min(end, hello.length)) {
    const type = hello.readUInt16BE(at);
    const length = hello.readUInt16BE(at + 2);
    const body = hello.subarray(at + 4, at + 4 + length);
    if (type === SERVER_NAME) serverName = body.toString('latin1', 5, 5 + body.readUInt16BE(3));
    if (type === ALPN) alpn = alpnNames(body);
    at += 4 + length;
  }
  return { serverName, alpn };
}

function alpnNames(body: Buffer): string[] {
  const names: string[] = [];
  for (let at = 2; at < body.length; ) {
    const length = body.readUInt8(at);
    names.push(body.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return names;
}

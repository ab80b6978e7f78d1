/** Frame types of RFC 9113 section 6. */
export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

/** Flags of DATA and HEADERS. */
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const WITH_PRIORITY = 0x20;
/** Flag of SETTINGS and PING. */
export const ACK = 0x1;

export const HEADER_BYTES = 9;
/** Where the flags stand in a frame's header. */
export const FLAGS_OFFSET = 4;
/** SETTINGS_MAX_FRAME_SIZE before any settings, and the size that we take ourselves. */
export const FRAME_BYTES = 16_384;
export const MAX_FRAME_BYTES = 0xff_ffff;
export const MAX_STREAM_ID = 0x7fff_ffff;

/** What a client sends first (RFC 9113 section 3.4). */
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Writes a frame's header at `at` and returns the offset after it. */
export function writeFrameHeader(
  target: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  target[at] = length >>> 16;
  target[at + 1] = length >>> 8;
  target[at + 2] = length;
  target[at + 3] = type;
  target[at + 4] = flags;
  return writeUint32(target, at + 5, streamId);
}

/** Writes 32 bits in network order and returns the offset after them. */
export function writeUint32(target: Buffer, at: number, value: number): number {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
  return at + 4;
}

/** 32 bits in network order; the caller knows that they are there. */
export function readUint32(bytes: Buffer, at: number): number {
  return (readUint31(bytes, at) | ((bytes[at] as number) & 0x80 ? 0x8000_0000 : 0)) >>> 0;
}

/** 31 bits in network order, the reserved first bit left out; the caller knows that they are there. */
export function readUint31(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] as number) & 0x7f) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

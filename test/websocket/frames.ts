/** Opcodes of RFC 6455 section 5.2. */
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** A whole, masked frame as a client sends it (RFC 6455 section 5.2); the mask is fixed, so that bytes can be compared. */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  const mask = Buffer.from([1, 2, 3, 4]);
  const masked = payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([head, mask, masked]);
}

/** Payload of a close frame. */
export function closePayload(code: number, reason = ''): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2);
  return payload;
}

/** The whole frames at the start of what a server sent, and the bytes after them. Throws if one is masked. */
export function serverFrames(bytes: Buffer): { readonly frames: Frame[]; readonly rest: Buffer } {
  const frames: Frame[] = [];
  let at = 0;
  for (;;) {
    const frame = frameAt(bytes, at);
    if (frame === undefined) return { frames, rest: bytes.subarray(at) };
    frames.push(frame);
    at += frame.bytes;
  }
}

function frameAt(bytes: Buffer, at: number): (Frame & { readonly bytes: number }) | undefined {
  if (bytes.length < at + 2) return undefined;
  const [first = 0, second = 0] = bytes.subarray(at, at + 2);
  if ((second & 0x80) !== 0) throw new Error('a server must not mask (RFC 6455 section 5.1)');
  const headBytes = second < 126 ? 2 : second === 126 ? 4 : 10;
  if (bytes.length < at + headBytes) return undefined;
  const length =
    second < 126
      ? second
      : second === 126
        ? bytes.readUInt16BE(at + 2)
        : Number(bytes.readBigUInt64BE(at + 2));
  if (bytes.length < at + headBytes + length) return undefined;
  const payload = bytes.subarray(at + headBytes, at + headBytes + length);
  return { opcode: first & 0x0f, payload, bytes: headBytes + length };
}

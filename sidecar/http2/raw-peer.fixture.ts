import type { Socket } from 'node:net';
import { until } from '../../test/fixture/wait.ts';
import { Field } from '../http/field.ts';
import { END_HEADERS, HEADERS, readUint31, readUint32, writeFrameHeader } from './frame.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { HpackEncoder } from './hpack/encoder.ts';

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** The bytes of one frame, whatever it is. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Buffer | number[] = [],
): Buffer {
  const bytes = Buffer.from(payload);
  const header = Buffer.alloc(9);
  writeFrameHeader(header, 0, bytes.length, type, flags, streamId);
  return Buffer.concat([header, bytes]);
}

/** Four bytes in network order. */
export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export const REQUEST: readonly [string, string][] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'app'],
];

/** One end of a connection that sends frames as it is told, right or wrong, and keeps those that come. */
export class RawPeer {
  readonly frames: RawFrame[] = [];
  closed = false;
  private readonly socket: Socket;
  private readonly encoder = new HpackEncoder();
  private readonly decoder = new HpackDecoder({ tableBytes: 4096, listBytes: 1e6, fields: 1e4 });
  private rest: Buffer = Buffer.alloc(0);

  /** `skip`: bytes of a preface that come first. */
  constructor(socket: Socket, skip = 0) {
    this.socket = socket;
    let left = skip;
    socket.on('data', (bytes: Buffer) => {
      const dropped = Math.min(left, bytes.length);
      left -= dropped;
      this.read(bytes.subarray(dropped));
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  private read(bytes: Buffer): void {
    this.rest = Buffer.concat([this.rest, bytes]);
    while (this.rest.length >= 9) {
      const length = this.rest.readUIntBE(0, 3);
      if (this.rest.length < 9 + length) return;
      const [type = 0, flags = 0] = this.rest.subarray(3, 5);
      const payload = this.rest.subarray(9, 9 + length);
      this.frames.push({ type, flags, streamId: readUint31(this.rest, 5), payload });
      this.rest = this.rest.subarray(9 + length);
    }
  }

  send(...parts: (Buffer | string)[]): void {
    for (const part of parts) this.socket.write(part);
  }

  /** A header block of these fields. */
  block(fields: readonly (readonly [string, string])[]): Buffer {
    const target = Buffer.alloc(200_000);
    let at = this.encoder.begin(target, 0);
    for (const [name, value] of fields) at = this.encoder.encode(new Field(name, value), target, at);
    return Buffer.from(target.subarray(0, at));
  }

  /** A HEADERS frame of these fields. */
  head(streamId: number, fields: readonly (readonly [string, string])[], flags: number): Buffer {
    return frame(HEADERS, flags | END_HEADERS, streamId, this.block(fields));
  }

  /** The fields of a HEADERS frame that came. Each is to be asked for once and in order. */
  fields({ payload }: RawFrame): string[] {
    const fields: Field[] = [];
    this.decoder.decode(payload, 0, payload.length, fields);
    return fields.map(({ name, value }) => `${name}: ${value}`);
  }

  /** The first frame of `type` (on `streamId`), once it is there. */
  async expect(type: number, streamId = -1): Promise<RawFrame> {
    const find = (): RawFrame | undefined =>
      this.frames.find((came) => came.type === type && (streamId < 0 || came.streamId === streamId));
    await until(
      `frame ${type} on ${streamId}; came: ${this.frames.map((came) => `${came.type}@${came.streamId}`)}`,
      () => find() !== undefined || this.closed,
    );
    const found = find();
    if (found === undefined) throw new Error(`the connection closed without frame ${type}`);
    return found;
  }

  /** The error code and the debug data of a GOAWAY. */
  static goAway({ payload }: RawFrame): { lastId: number; code: number; debug: string } {
    return {
      lastId: readUint31(payload, 0),
      code: readUint32(payload, 4),
      debug: payload.toString('latin1', 8),
    };
  }

  stopReading(): void {
    this.socket.pause();
  }

  close(): void {
    this.socket.destroy();
  }
}

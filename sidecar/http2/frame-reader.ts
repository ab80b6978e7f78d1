import { FRAME_SIZE_ERROR, PROTOCOL_ERROR } from './error-codes.ts';
import { CONTINUATION, DATA, FRAME_BYTES, HEADER_BYTES, PADDED, readUint31 } from './frame.ts';

/** What is told of the frames of one connection. Ranges are valid until the call returns. */
export interface FrameSink {
  /** A frame's header came. False: read no more. */
  onFrameHeader(type: number, flags: number, streamId: number, length: number): boolean;
  /** A part of a DATA frame's data, padding left out. */
  onDataBytes(bytes: Buffer, start: number, end: number): void;
  /** A DATA frame came to its end. */
  onDataEnd(): void;
  /** Any other frame of a known type, whole. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
  onFrameError(code: number, detail: string): void;
}

const HEADER = 0;
const PAD_LENGTH = 1;
const DATA_BYTES = 2;
const SKIP = 3;
const PAYLOAD = 4;

/** Finds frames in bytes that come in any pieces. DATA is handed on as it comes, other frames whole. */
export class FrameReader {
  private readonly sink: FrameSink;
  private state = HEADER;
  private type = 0;
  private flags = 0;
  private streamId = 0;
  /** Bytes of the payload that are still to come; in DATA_BYTES without its padding. */
  private remaining = 0;
  private padding = 0;
  private readonly header = Buffer.allocUnsafe(HEADER_BYTES);
  private headerBytes = 0;
  /** A payload that comes in pieces. */
  private gathered: Buffer | undefined = undefined;
  private stopped = false;

  constructor(sink: FrameSink) {
    this.sink = sink;
  }

  /** Hands on nothing more. */
  stop(): void {
    this.stopped = true;
    this.gathered = undefined;
  }

  feed(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && !this.stopped) {
      if (this.state === HEADER) at = this.readHeader(bytes, at, end);
      else if (this.state === DATA_BYTES) at = this.readData(bytes, at, end);
      else if (this.state === PAYLOAD) at = this.readPayload(bytes, at, end);
      else if (this.state === SKIP) at = this.skip(at, end);
      else at = this.readPadLength(bytes, at);
    }
  }

  private readHeader(bytes: Buffer, start: number, end: number): number {
    if (this.headerBytes === 0 && end - start >= HEADER_BYTES) {
      this.begin(bytes, start);
      return start + HEADER_BYTES;
    }
    const taken = Math.min(end - start, HEADER_BYTES - this.headerBytes);
    bytes.copy(this.header, this.headerBytes, start, start + taken);
    this.headerBytes += taken;
    if (this.headerBytes === HEADER_BYTES) {
      this.headerBytes = 0;
      this.begin(this.header, 0);
    }
    return start + taken;
  }

  private begin(header: Buffer, at: number): void {
    // The nine bytes are there: the caller counted them.
    const length =
      ((header[at] as number) << 16) | ((header[at + 1] as number) << 8) | (header[at + 2] as number);
    const type = header[at + 3] as number;
    this.type = type;
    this.flags = header[at + 4] as number;
    this.streamId = readUint31(header, at + 5);
    if (length > FRAME_BYTES) {
      this.sink.onFrameError(FRAME_SIZE_ERROR, 'a frame is larger than SETTINGS_MAX_FRAME_SIZE');
      return;
    }
    if (!this.sink.onFrameHeader(type, this.flags, this.streamId, length)) return;
    this.remaining = length;
    if (type === DATA) this.beginData(length);
    else if (type > CONTINUATION) this.state = length > 0 ? SKIP : HEADER;
    else if (length > 0) this.state = PAYLOAD;
    else this.frameEnd(header, at, at);
  }

  private beginData(length: number): void {
    this.padding = 0;
    if ((this.flags & PADDED) === 0) {
      this.state = DATA_BYTES;
      if (length === 0) this.dataEnd();
    } else if (length === 0) {
      this.sink.onFrameError(FRAME_SIZE_ERROR, 'a padded DATA frame has no pad length');
    } else {
      this.state = PAD_LENGTH;
    }
  }

  private readPadLength(bytes: Buffer, at: number): number {
    const padding = bytes[at] as number; // feed() saw that a byte is there
    this.remaining -= 1 + padding;
    if (this.remaining < 0) {
      this.sink.onFrameError(PROTOCOL_ERROR, 'the padding of a DATA frame is longer than the frame');
      return at + 1;
    }
    this.padding = padding;
    this.state = DATA_BYTES;
    if (this.remaining === 0) this.dataEnd();
    return at + 1;
  }

  private readData(bytes: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + this.remaining);
    this.remaining -= stop - start;
    this.sink.onDataBytes(bytes, start, stop);
    if (this.remaining === 0) this.dataEnd();
    return stop;
  }

  /** The data is complete; its padding, if any, is still to be passed over. */
  private dataEnd(): void {
    this.remaining = this.padding;
    this.state = this.padding > 0 ? SKIP : HEADER;
    if (!this.stopped) this.sink.onDataEnd();
  }

  private skip(start: number, end: number): number {
    const stop = Math.min(end, start + this.remaining);
    this.remaining -= stop - start;
    if (this.remaining === 0) this.state = HEADER;
    return stop;
  }

  private readPayload(bytes: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + this.remaining);
    if (this.gathered === undefined && stop - start === this.remaining) {
      this.frameEnd(bytes, start, stop);
      return stop;
    }
    this.gathered ??= Buffer.allocUnsafe(this.remaining);
    bytes.copy(this.gathered, this.gathered.length - this.remaining, start, stop);
    this.remaining -= stop - start;
    if (this.remaining === 0) {
      const whole = this.gathered;
      this.gathered = undefined;
      this.frameEnd(whole, 0, whole.length);
    }
    return stop;
  }

  private frameEnd(bytes: Buffer, start: number, end: number): void {
    this.state = HEADER;
    this.sink.onFrame(this.type, this.flags, this.streamId, bytes, start, end);
  }
}

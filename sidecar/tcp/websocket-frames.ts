/** Bytes of the extended length for a 7-bit length of 126 and 127 (RFC 6455 section 5.2). */
const EXTENDED_16 = 126;
const EXTENDED_64 = 127;

/** Follows the frames of one direction of a WebSocket, to know where one ends and another may be put in. */
export class WebSocketFrames {
  /** Bytes of the current header that were seen; a header is 2 to 14 long. */
  private seen = 0;
  private headerBytes = 2;
  private length = 0;
  /** Bytes of payload that are still to come. */
  private payload = 0;

  /** Whether the last byte that was followed ended a frame. */
  get between(): boolean {
    return this.seen === 0 && this.payload === 0;
  }

  /** Follows a range. Returns the offset after the last frame that ended in it, or -1. */
  follow(bytes: Buffer, start: number, end: number): number {
    let boundary = -1;
    for (let position = start; position < end; ) {
      if (this.payload > 0) {
        const taken = Math.min(this.payload, end - position);
        this.payload -= taken;
        position += taken;
      } else {
        this.header(bytes[position] as number); // below `end`
        position++;
      }
      if (this.between) boundary = position;
    }
    return boundary;
  }

  private header(byte: number): void {
    this.seen++;
    if (this.seen === 2) {
      const short = byte & 0x7f;
      const extended = short === EXTENDED_16 ? 2 : short === EXTENDED_64 ? 8 : 0;
      this.headerBytes = 2 + extended + ((byte & 0x80) === 0 ? 0 : 4);
      this.length = extended === 0 ? short : 0;
      this.lengthEnd = 2 + extended;
    } else if (this.seen > 2 && this.seen <= this.lengthEnd) {
      this.length = this.length * 256 + byte;
    }
    if (this.seen < 2 || this.seen < this.headerBytes) return;
    this.payload = this.length;
    this.seen = 0;
    this.headerBytes = 2;
  }

  private lengthEnd = 2;
}

/** A client's Close frame of status 1001, "going away" (RFC 6455 section 7.4.1), under a mask of zeros. */
export const GOING_AWAY: Buffer = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]);

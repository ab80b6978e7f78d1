/** A header block that comes in several frames (RFC 9113 section 4.3). */
export class HeaderBlock {
  readonly streamId: number;
  /** The HEADERS frame had END_STREAM. */
  readonly endsStream: boolean;
  /** The HEADERS frame made its stream depend on itself. */
  readonly selfDependent: boolean;
  bytes = 0;
  continuations = 0;
  private readonly fragments: Buffer[] = [];

  constructor(streamId: number, endsStream: boolean, selfDependent: boolean) {
    this.streamId = streamId;
    this.endsStream = endsStream;
    this.selfDependent = selfDependent;
  }

  /** Keeps a copy of the range. */
  add(bytes: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    this.fragments.push(Buffer.from(bytes.subarray(start, end)));
  }

  whole(): Buffer {
    return Buffer.concat(this.fragments);
  }
}

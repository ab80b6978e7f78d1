import { Field, fieldsOf } from '../http/field.ts';
import type { MessageHead } from '../http/message-head.ts';
import { isLeftBehind, isUnique, REQUEST_ID, ruleOf, UNIQUE } from './field-rules.ts';
import { CONTINUATION, END_HEADERS, HEADER_BYTES, HEADERS, writeFrameHeader } from './frame.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import { Http2Head } from './http2-head.ts';
import type { Output } from './output.ts';

/** Room in which most heads fit; more is made when it is needed. */
const USUAL_BYTES = 4096;
/** More than a literal's first byte, index and lengths take. */
const LITERAL_BYTES = 32;

/** Writes header blocks into a connection's output. Between `begin` and `end` nothing else may be written. */
export class HeadWriter {
  private readonly output: Output;
  private readonly encoder: HpackEncoder;
  private frameAt = 0;
  private at = 0;

  constructor(output: Output, encoder: HpackEncoder) {
    this.output = output;
    this.encoder = encoder;
  }

  begin(): void {
    this.frameAt = this.output.reserve(USUAL_BYTES);
    this.at = this.encoder.begin(this.output.buffer, this.frameAt + HEADER_BYTES);
  }

  field(field: Field): void {
    this.output.grow(this.at, HpackEncoder.room(field));
    this.at = this.encoder.encode(field, this.output.buffer, this.at);
  }

  private once(name: string, value: string): void {
    this.output.grow(this.at, name.length + value.length + LITERAL_BYTES);
    this.at = this.encoder.encodeOnce(name, value, this.output.buffer, this.at);
  }

  /** The headers of `head` that are passed on: those of HTTP/2 as they came. */
  kept(head: MessageHead): void {
    if (head instanceof Http2Head) this.keptFields(head);
    else this.keptLines(head);
  }

  private keptFields(head: Http2Head): void {
    const { count } = head;
    for (let index = 0; index < count; index++) {
      if (!head.keepsField(index)) continue;
      const field = head.field(index);
      const rule = ruleOf(field);
      const unique = rule === REQUEST_ID || rule === UNIQUE;
      // What came as never indexed stays so (RFC 7541 section 6.2.3).
      if (unique && !field.sensitive) this.once(field.name, field.value);
      else this.field(field);
    }
  }

  private keptLines(head: MessageHead): void {
    const { count } = head;
    for (let index = 0; index < count; index++) {
      if (!head.keeps(index)) continue;
      const name = head.name(index).toLowerCase();
      if (isLeftBehind(name)) continue;
      this.named(name, head.value(index));
    }
  }

  /** `fields`, but for those that have no place in HTTP/2. */
  added(fields: readonly Field[]): void {
    for (const { name, value } of fields) if (!isLeftBehind(name)) this.named(name, value);
  }

  /** Whole header lines. */
  lines(lines: string): void {
    if (lines !== '') this.added(fieldsOf(lines));
  }

  trailers(fields: readonly Field[]): void {
    for (const field of fields) this.field(field);
  }

  private named(name: string, value: string): void {
    if (isUnique(name)) this.once(name, value);
    else this.field(new Field(name, value));
  }

  /** Ends the block and returns where its HEADERS frame begins. */
  end(streamId: number, flags: number, maxFrameBytes: number): number {
    const { frameAt } = this;
    const bytes = this.at - frameAt - HEADER_BYTES;
    if (bytes > maxFrameBytes) {
      this.split(streamId, flags, bytes, maxFrameBytes);
    } else {
      writeFrameHeader(this.output.buffer, frameAt, bytes, HEADERS, flags | END_HEADERS, streamId);
      this.output.used = this.at;
    }
    return frameAt;
  }

  /** Makes CONTINUATIONs of what is too much for one frame, from the last to the first. */
  private split(streamId: number, flags: number, bytes: number, maxFrameBytes: number): void {
    const { output, frameAt } = this;
    const first = frameAt + HEADER_BYTES;
    const last = Math.ceil(bytes / maxFrameBytes) - 1;
    output.grow(this.at, last * HEADER_BYTES);
    const { buffer } = output;
    for (let part = last; part > 0; part--) {
      const from = first + part * maxFrameBytes;
      const length = Math.min(maxFrameBytes, first + bytes - from);
      const to = from + part * HEADER_BYTES;
      buffer.copyWithin(to, from, from + length);
      const end = part === last ? END_HEADERS : 0;
      writeFrameHeader(buffer, to - HEADER_BYTES, length, CONTINUATION, end, streamId);
    }
    writeFrameHeader(buffer, frameAt, maxFrameBytes, HEADERS, flags, streamId);
    output.used = this.at + last * HEADER_BYTES;
  }
}

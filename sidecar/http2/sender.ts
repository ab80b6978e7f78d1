import type { Field } from '../http/field.ts';
import type { Transport } from '../transport/transport.ts';
import type { FloodGuard } from './flood-guard.ts';
import { INITIAL_WINDOW } from './flow-window.ts';
import { DATA, END_STREAM, FLAGS_OFFSET, FRAME_BYTES, HEADER_BYTES, writeFrameHeader } from './frame.ts';
import { HeadWriter } from './head-writer.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import type { Output } from './output.ts';
import type { PeerSettings } from './settings.ts';
import type { Http2Stream } from './stream.ts';

/** Sends the streams' frames as the peer's windows and the socket take them. */
export class Sender {
  /** What the peer's window of the whole connection takes. */
  window = INITIAL_WINDOW;
  readonly encoder = new HpackEncoder();
  readonly writer: HeadWriter;
  /** Streams with data for a window to come, or that are to be told when the socket takes more. */
  private waiting: Http2Stream[] = [];
  private pumping = false;
  private readonly output: Output;
  private readonly transport: Transport;
  private readonly peer: PeerSettings;
  private readonly guard: FloodGuard;

  constructor(output: Output, transport: Transport, peer: PeerSettings, guard: FloodGuard) {
    this.output = output;
    this.transport = transport;
    this.peer = peer;
    this.guard = guard;
    this.writer = new HeadWriter(output, this.encoder);
  }

  /** Ends a head that was begun with `writer`. END_STREAM can still be added to it until it leaves. */
  endHead(stream: Http2Stream, ends: boolean): void {
    const { output } = this;
    stream.lastFrame = this.writer.end(stream.id, ends ? END_STREAM : 0, this.peer.frameBytes);
    stream.lastGeneration = output.generation;
    this.guard.frameSent();
  }

  /** Sends what windows and the socket take of a range, and returns where that ends. */
  writeData(stream: Http2Stream, bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const sent = this.writeFrame(stream, bytes, at, end);
      if (sent === 0) break;
      at += sent;
    }
    return at;
  }

  /** Sends one DATA frame of a range, as far as windows and the socket take it. Returns how many bytes it has. */
  writeFrame(stream: Http2Stream, bytes: Buffer, start: number, end: number): number {
    const length = Math.min(end - start, stream.sendWindow, this.window, FRAME_BYTES);
    if (length <= 0 || this.transport.backedUp) return 0;
    const { output } = this;
    const frame = output.reserve(HEADER_BYTES + length);
    const at = writeFrameHeader(output.buffer, frame, length, DATA, 0, stream.id);
    bytes.copy(output.buffer, at, start, start + length);
    output.used = at + length;
    stream.lastFrame = frame;
    stream.lastGeneration = output.generation;
    stream.sendWindow -= length;
    this.window -= length;
    this.guard.frameSent();
    return length;
  }

  /** Ends a stream: by its trailers, its last frame if that has not left, or an empty frame. */
  writeEnd(stream: Http2Stream, trailers: readonly Field[] | undefined): void {
    const { output } = this;
    if (trailers !== undefined && trailers.length > 0) {
      this.writer.begin();
      this.writer.trailers(trailers);
      this.endHead(stream, true);
    } else if (stream.lastGeneration === output.generation) {
      const flags = stream.lastFrame + FLAGS_OFFSET;
      output.buffer[flags] = (output.buffer[flags] as number) | END_STREAM; // written by writeFrame or endHead
    } else {
      const frame = output.reserve(HEADER_BYTES);
      output.used = writeFrameHeader(output.buffer, frame, 0, DATA, END_STREAM, stream.id);
    }
  }

  /** Puts `stream` among those that wait. */
  wait(stream: Http2Stream): void {
    if (stream.waits) return;
    stream.waits = true;
    this.waiting.push(stream);
  }

  /** Those whose data waits. */
  stalled(): Http2Stream[] {
    return this.waiting.filter((stream) => !stream.closed && stream.queuedBytes > 0);
  }

  /** Sends what waits, a frame of each stream in turn, and releases those whose data is out. */
  pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    const { waiting } = this;
    for (let idle = 0; idle < waiting.length; ) {
      const stream = waiting.shift() as Http2Stream; // idle < waiting.length
      if (stream.closed) {
        stream.waits = false;
        continue;
      }
      idle = stream.sendQueued() > 0 ? 0 : idle + 1;
      if (stream.queuedBytes > 0 || this.transport.backedUp) {
        waiting.push(stream);
        continue;
      }
      stream.waits = false;
      idle = 0;
      // It may send more, which then waits behind the others.
      stream.released();
    }
    this.pumping = false;
  }

  clear(): void {
    this.waiting.length = 0;
  }
}

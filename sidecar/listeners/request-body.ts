import type { Field } from '../http/field.ts';
import type { Limits } from '../http/limits.ts';
import { HTTP_2, HTTP_11, type MessageHead, UNKNOWN_LENGTH } from '../http/message-head.ts';
import { PackedBytes } from '../http/packed-bytes.ts';
import type { Upstream } from '../http/upstream.ts';
import { ChunkedReader, type RangeSink } from '../http1/chunked.ts';
import type { Transport } from '../transport/transport.ts';
import { Base64Decoder } from './grpc-web.ts';

/** A body up to here can be sent again. */
const REPLAY_BYTES = 64 * 1024;

/**
 * The body of one request on its way to an upstream: kept while no upstream is there, and, where another
 * attempt may want it, as long as it is small. A body in the chunks of HTTP/1.1 leaves them for HTTP/2.
 */
export class RequestBody {
  /** The client has sent all of it. */
  ended = false;
  /** Some of it has left for an upstream. */
  sent = false;
  private trailers: readonly Field[] | undefined = undefined;
  private kept: PackedBytes | undefined = undefined;
  private keeping = false;
  private readonly limits: Limits;
  private chunks: ChunkedReader | undefined = undefined;
  private decodes = false;
  private ready = true;
  private target: Upstream | undefined = undefined;
  private base64: Base64Decoder | undefined = undefined;
  private pass: RangeSink | undefined = undefined;

  private decoded(bytes: Buffer, start: number, end: number): void {
    if (this.base64 === undefined) {
      this.give(bytes, start, end);
      return;
    }
    const decoded = this.base64.decode(bytes, start, end);
    this.give(decoded, 0, decoded.length);
  }

  constructor(limits: Limits) {
    this.limits = limits;
  }

  begin(): void {
    this.ended = false;
    this.sent = false;
    this.trailers = undefined;
    this.keeping = false;
    this.base64 = undefined;
    this.release();
  }

  /** What came so far and is kept, as it came. */
  pieces(): Iterable<Buffer> {
    return this.kept?.pieces() ?? [];
  }

  /** The body is sent on out of its base64. */
  decodeBase64(): void {
    this.base64 = new Base64Decoder();
  }

  get decodesBase64(): boolean {
    return this.base64 !== undefined;
  }

  /** Nothing of it is needed any more. */
  release(): void {
    this.kept = undefined;
    this.target = undefined;
  }

  /** Keeps what is sent, as far as it is small, for an attempt after this one. */
  keepForReplay(): void {
    this.keeping = true;
  }

  /** Whether the request can be sent once more. */
  get replayable(): boolean {
    return !this.sent || this.keeping;
  }

  end(trailers: readonly Field[] | undefined): void {
    this.ended = true;
    this.trailers = trailers;
  }

  /** Takes bytes for which there is no upstream yet. */
  hold(bytes: Buffer, start: number, end: number): void {
    this.kept ??= new PackedBytes();
    this.kept.add(bytes, start, end);
  }

  /** Sends all that came so far. `decode`: the body comes in chunks, which this upstream does not know. */
  sendTo(upstream: Upstream, decode: boolean): void {
    this.target = upstream;
    this.decodes = decode;
    if (decode) {
      this.chunks ??= new ChunkedReader(this.limits);
      this.chunks.reset(false);
    }
    if (this.base64 !== undefined) this.base64 = new Base64Decoder();
    if (this.kept === undefined) return;
    for (const bytes of this.kept.pieces()) this.write(upstream, undefined, bytes, 0, bytes.length);
    this.forgetLarge();
  }

  /** Passes on what the client sends now. False: wait until the upstream is writable. */
  forward(upstream: Upstream, source: Transport, bytes: Buffer, start: number, end: number): boolean {
    if (this.keeping) {
      this.hold(bytes, start, end);
      this.forgetLarge();
    }
    return this.write(upstream, source, bytes, start, end);
  }

  /** Tells the upstream that this was all. */
  endTo(upstream: Upstream): void {
    upstream.requestEnd(this.decodes ? this.chunks?.trailerFields : this.trailers);
  }

  private write(
    upstream: Upstream,
    source: Transport | undefined,
    bytes: Buffer,
    start: number,
    end: number,
  ): boolean {
    if (end > start) this.sent = true;
    if (!this.decodes && this.base64 === undefined) return upstream.requestData(source, bytes, start, end);
    this.ready = true;
    if (this.decodes) {
      this.pass ??= (range, from, to) => this.decoded(range, from, to);
      this.chunks?.feed(bytes, start, end, this.pass);
    } else {
      this.decoded(bytes, start, end);
    }
    return this.ready;
  }

  /** Ranges of what is decoded have no source of their own: the target copies what it cannot send at once. */
  private give(bytes: Buffer, start: number, end: number): void {
    if (end > start && this.target?.requestData(undefined, bytes, start, end) === false) this.ready = false;
  }

  private forgetLarge(): void {
    if (!this.keeping || (this.kept?.length ?? 0) > REPLAY_BYTES) this.forget();
  }

  /** There will be no other attempt. */
  forget(): void {
    this.keeping = false;
    this.kept = undefined;
  }
}

/** Whether the body of the request of `head` comes in the chunks of HTTP/1.1, which an upstream of HTTP/2 does not have. */
export function leavesChunks(head: MessageHead, upstream: Upstream): boolean {
  return upstream.version === HTTP_2 && head.version === HTTP_11 && head.bodyLength === UNKNOWN_LENGTH;
}

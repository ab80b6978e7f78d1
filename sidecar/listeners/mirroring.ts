import type { Exchange } from '../exchange.ts';
import type { Limits } from '../http/limits.ts';
import { HTTP_11, UNKNOWN_LENGTH } from '../http/message-head.ts';
import { ownRequest } from '../http/own-request.ts';
import { PackedBytes } from '../http/packed-bytes.ts';
import { ChunkedReader, type RangeSink } from '../http1/chunked.ts';
import { fieldLines } from '../http1/field-lines.ts';
import type { Mirror } from '../routing/mirrors.ts';
import type { MirrorCounts, MirrorResult } from '../telemetry/mirror-counts.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import { MirrorCall } from './mirror-call.ts';
import type { RequestBody } from './request-body.ts';
import { upstreamVersion } from './upstream-version.ts';

/** Bytes of a body that a copy holds at most. */
const MAX_BODY = 256 * 1024;
/** Bytes that all copies of a data plane hold together at most. */
const MAX_HELD = 16 * 1024 * 1024;
/** What a copy takes besides its text and its body. */
const COPY_BYTES = 1024;
const LOOK_MS = 20;

/** Fields of the original's way that a copy, which is sent whole, does not have. */
const NOT_COPIED = /^(content-length|transfer-encoding|expect|te):.*\r\n/gim;

/**
 * Copies requests for mirrors (Gateway API RequestMirror). A copy leaves once the request is whole, and whatever becomes
 * of it, the original does not wait for it and does not learn of it.
 */
export class Mirroring {
  /** Bytes that copies hold now. */
  held = 0;
  readonly limits: Limits;
  readonly wheel: TimerWheel;
  private readonly counts: MirrorCounts;
  private readonly random: () => number;

  constructor(parts: { limits: Limits; wheel: TimerWheel; counts: MirrorCounts; random?: () => number }) {
    this.limits = parts.limits;
    this.wheel = parts.wheel;
    this.counts = parts.counts;
    this.random = parts.random ?? Math.random;
  }

  /** Begins a copy of the request of `exchange` for those of `mirrors` whose share it falls into. */
  begin(mirrors: readonly Mirror[], exchange: Exchange, addedFields: string): RequestCopy | undefined {
    const chosen = mirrors.filter(({ share }) => share >= 1 || this.random() < share);
    // A tunnel is no request that could be made a second time.
    if (chosen.length === 0 || exchange.head.upgrade !== '') return undefined;
    const copy = new RequestCopy(this, chosen, exchange, addedFields);
    for (const { service } of chosen) exchange.note('mirror', 'copied', `a copy goes to ${service}`);
    return copy;
  }

  /** As `begin`, with what came of `body` already. Undefined as well when the copy is whole. A body in base64 is decoded on its way only. */
  copyOf(
    mirrors: readonly Mirror[],
    exchange: Exchange,
    addedFields: string,
    body: RequestBody,
  ): RequestCopy | undefined {
    const copy = body.decodesBase64 ? undefined : this.begin(mirrors, exchange, addedFields);
    if (copy === undefined) return undefined;
    for (const bytes of body.pieces()) copy.add(bytes, 0, bytes.length);
    // An answer may come before the word that nothing follows.
    if (!body.ended && exchange.head.bodyLength !== 0) return copy;
    copy.end();
    return undefined;
  }

  /** Whether `bytes` more may be held; they are from now on. */
  take(bytes: number): boolean {
    if (this.held + bytes > MAX_HELD) return false;
    this.held += bytes;
    return true;
  }

  /** Resolves when no copy is on its way any more, or `limitMs` is over. */
  async drain(limitMs: number): Promise<void> {
    const until = performance.now() + limitMs;
    while (this.held > 0 && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }

  count({ service }: Mirror, result: MirrorResult): void {
    this.counts.count(service, result);
  }
}

/** A request that is being copied: it takes the body as it comes, until it is whole. */
export class RequestCopy {
  private readonly mirroring: Mirroring;
  private readonly mirrors: readonly Mirror[];
  private readonly exchange: Exchange;
  private readonly fields: string;
  private readonly chunks: ChunkedReader | undefined;
  private readonly body = new PackedBytes();
  private readonly keep: RangeSink = (bytes, start, end) => this.hold(bytes, start, end);
  private held = 0;
  private over = false;

  constructor(mirroring: Mirroring, mirrors: readonly Mirror[], exchange: Exchange, addedFields: string) {
    this.mirroring = mirroring;
    this.mirrors = mirrors;
    this.exchange = exchange;
    this.fields = copiedFields(exchange, addedFields);
    const { head } = exchange;
    const chunked = head.version === HTTP_11 && head.bodyLength === UNKNOWN_LENGTH;
    this.chunks = chunked ? new ChunkedReader(mirroring.limits) : undefined;
    this.chunks?.reset(false);
    if (head.bodyLength > MAX_BODY) this.drop('too-large');
    else this.take(COPY_BYTES + this.fields.length + exchange.target.length);
  }

  /** Takes a range of the body as its client sent it. */
  add(bytes: Buffer, start: number, end: number): void {
    if (this.over) return;
    if (this.chunks === undefined) this.hold(bytes, start, end);
    else this.chunks.feed(bytes, start, end, this.keep);
  }

  private hold(bytes: Buffer, start: number, end: number): void {
    if (this.over || start === end) return;
    if (this.body.length + end - start > MAX_BODY) this.drop('too-large');
    else if (this.take(end - start)) this.body.add(bytes, start, end);
  }

  private take(bytes: number): boolean {
    if (this.mirroring.take(bytes)) this.held += bytes;
    else this.drop('no-room');
    return !this.over;
  }

  /** The request is whole: its copies leave. */
  end(): void {
    if (this.over) return;
    this.over = true;
    const { exchange, mirroring, mirrors } = this;
    const { method, target } = exchange;
    const length = this.body.length;
    // A POST without a body says so, as it came.
    const told = length > 0 || exchange.header('content-length') !== undefined;
    const framing = told ? `content-length: ${length}\r\n` : '';
    const { listener, grpc, head } = exchange;
    const { version, upgrade } = head;
    const copy = {
      request: ownRequest(method, target, this.fields + framing),
      body: [...this.body.pieces()],
      // The exchange is of the next request by the time that a connection is there.
      version: (protocol: Parameters<typeof upstreamVersion>[0]) =>
        upstreamVersion(protocol, listener, { grpc, head: { version, upgrade } }),
    };
    let left = mirrors.length;
    for (const mirror of mirrors) {
      const call = new MirrorCall(mirror, copy, mirroring.wheel, (result) => {
        mirroring.count(mirror, result);
        if (--left === 0) this.release();
      });
      call.start();
    }
  }

  /** The request will not be whole. */
  abandon(): void {
    if (!this.over) this.drop('incomplete');
  }

  private drop(result: MirrorResult): void {
    this.over = true;
    this.release();
    for (const mirror of this.mirrors) this.mirroring.count(mirror, result);
  }

  private release(): void {
    this.mirroring.held -= this.held;
    this.held = 0;
    this.body.clear();
  }
}

/** All header lines of a copy but its length. The host is that of the original. */
function copiedFields({ head, grpc, requestFields }: Exchange, addedFields: string): string {
  const lines = (fieldLines(head) + requestFields + addedFields).replace(NOT_COPIED, '');
  const host = /^host:/im.test(lines) ? '' : `host: ${head.authority}\r\n`;
  return `${host}${lines}${grpc ? 'te: trailers\r\n' : ''}`;
}

import type { RequestHandler } from '../http/downstream.ts';
import type { Field } from '../http/field.ts';
import type { Limits } from '../http/limits.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { Transport } from '../transport/transport.ts';
import { FORGOTTEN, RESET } from './closed-streams.ts';
import { Http2Connection } from './connection.ts';
import { sendGoAway, sendPing, sendReset } from './control-frames.ts';
import { NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, STREAM_CLOSED } from './error-codes.ts';
import type { Protection } from './flood-guard.ts';
import { MAX_STREAM_ID, PREFACE } from './frame.ts';
import { readRequestHead } from './head-rules.ts';
import type { HpackVerdict } from './hpack/decoder.ts';
import { Http2Head } from './http2-head.ts';
import type { Http2Limits } from './http2-limits.ts';
import { REFUSALS } from './problems.ts';
import { Http2ServerStream } from './server-stream.ts';
import {
  ENABLE_CONNECT_PROTOCOL,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  MAX_HEADER_LIST_SIZE,
} from './settings.ts';
import type { Http2Stream } from './stream.ts';

/** Payload of the PING whose answer says that the client knows of the GOAWAY before it. */
const DRAIN_PING = Buffer.from('draining', 'latin1');

export interface Http2ServerOptions {
  readonly limits: Limits;
  readonly http2: Http2Limits;
  readonly wheel: TimerWheel;
  /** Makes the handler of a new stream's request. */
  accept(stream: Http2ServerStream): RequestHandler;
  /** A protection acted: the connection, or for `slow-window` a stream, was ended. */
  onProtected(what: Protection): void;
}

/** One downstream HTTP/2 connection. */
export class Http2ServerConnection extends Http2Connection {
  protected readonly facesServer = false;
  private readonly options: Http2ServerOptions;
  private lastId = 0;
  private prefaceRead = 0;
  private draining = false;
  private drainSince = 0;
  /** The highest stream that is served after the last GOAWAY. */
  private finalId = MAX_STREAM_ID;

  constructor(options: Http2ServerOptions) {
    super(options.limits, options.http2, options.wheel);
    this.options = options;
  }

  /** Begins to serve `transport`, whose reader is this connection. */
  open(transport: Transport): void {
    this.begin(transport, '', [
      [MAX_CONCURRENT_STREAMS, this.http2.streams],
      [INITIAL_WINDOW_SIZE, this.http2.streamWindowBytes],
      [MAX_HEADER_LIST_SIZE, this.limits.headBytes],
      [ENABLE_CONNECT_PROTOCOL, 1],
    ]);
  }

  accept(stream: Http2ServerStream): RequestHandler {
    return this.options.accept(stream);
  }

  protected get lastPeerStream(): number {
    return Math.min(this.lastId, this.finalId);
  }

  protected isIdle(streamId: number): boolean {
    return streamId > this.lastId || streamId % 2 === 0;
  }

  protected override readPreface(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (this.prefaceRead < PREFACE.length && at < end) {
      if (bytes[at++] === PREFACE.charCodeAt(this.prefaceRead++)) continue;
      this.fail(PROTOCOL_ERROR, 'the connection preface is not that of HTTP/2');
      return end;
    }
    return at;
  }

  protected onHeaders(
    streamId: number,
    ends: boolean,
    fields: Field[],
    verdict: HpackVerdict,
    selfDependent: boolean,
  ): void {
    const stream = this.find(streamId);
    if (stream !== undefined) {
      if (selfDependent || (!stream.receiveEnded && (!ends || verdict !== 'ok')))
        this.peerBroke(stream, PROTOCOL_ERROR);
      else if (stream.receiveEnded) this.peerBroke(stream, STREAM_CLOSED);
      else stream.receiveEnd(fields);
    } else if (streamId % 2 === 0) {
      this.fail(PROTOCOL_ERROR, 'a client must use odd streams');
    } else if (streamId <= this.lastId) {
      this.onLateHeaders(streamId);
    } else {
      this.lastId = streamId;
      if (streamId <= this.finalId) this.openStream(streamId, ends, fields, verdict, selfDependent);
    }
  }

  /** HEADERS on a stream that was open: its trailers, if we reset it. */
  private onLateHeaders(streamId: number): void {
    const how = this.past.find(streamId);
    if (how === RESET) return;
    if (how === FORGOTTEN) this.fail(PROTOCOL_ERROR, 'a stream is opened out of order');
    else this.fail(STREAM_CLOSED, 'HEADERS on a stream that is closed');
  }

  private openStream(
    streamId: number,
    ends: boolean,
    fields: Field[],
    verdict: HpackVerdict,
    selfDependent: boolean,
  ): void {
    if (this.streams >= this.http2.streams) {
      sendReset(this.output, streamId, REFUSED_STREAM);
      this.past.add(streamId, RESET);
      if (!this.guard.refused()) this.protect('too-many-streams');
      return;
    }
    const head = new Http2Head(fields);
    if (selfDependent) {
      this.guard.streamOpened();
      sendReset(this.output, streamId, PROTOCOL_ERROR);
      this.past.add(streamId, RESET);
      this.countReset();
      return;
    }
    const problem = this.readHead(head, ends, verdict);
    const stream = new Http2ServerStream(this, streamId, head, ends);
    // Its answer is a reset (RFC 9113 section 8.1.1); the handler hears of it all the same.
    stream.refused = problem?.status === 400;
    this.addStream(stream);
    stream.start(problem);
    if (stream.refused && !stream.closed) this.peerBroke(stream, PROTOCOL_ERROR);
  }

  private readHead(head: Http2Head, ends: boolean, verdict: HpackVerdict): MessageProblem | undefined {
    if (verdict === 'list-too-large') return REFUSALS.headLong;
    if (verdict === 'too-many-fields') return REFUSALS.headersMany;
    return readRequestHead(head, ends, this.limits);
  }

  protected onClosedData(streamId: number): void {
    if (streamId > this.finalId || this.past.find(streamId) === RESET) return;
    sendReset(this.output, streamId, STREAM_CLOSED);
    this.past.add(streamId, RESET);
    this.countReset();
  }

  /** A client that we reset may do the same once; it costs nothing to ask for a stream and reset it when it is over. */
  protected onLateReset(streamId: number): void {
    if (!this.past.endReset(streamId)) this.countReset();
  }

  protected onPeerReset(stream: Http2Stream): void {
    const young = this.now - (stream as Http2ServerStream).openedAt < this.http2.youngMs; // all ours are
    this.streamEnded(stream);
    stream.onReset(0);
    if (young) this.countReset();
  }

  protected onGoAway(): void {
    // The client opens no more streams, and closes when it wants to.
  }

  protected onPingAck(bytes: Buffer, start: number): void {
    if (DRAIN_PING.compare(bytes, start, start + DRAIN_PING.length) === 0) this.endDrain();
  }

  /** No more streams once the client knows; closes when the last is done. No request under way is lost (RFC 9113 section 6.8). */
  drain(): void {
    if (this.draining || this.over) return;
    this.draining = true;
    this.drainSince = performance.now();
    sendGoAway(this.output, MAX_STREAM_ID, NO_ERROR, '');
    sendPing(this.output, 0, DRAIN_PING, 0);
    this.armWithin(this.http2.drainMs);
  }

  /** GOAWAY loses nothing: there is no gentler way. */
  leave(): void {
    this.drain();
  }

  private endDrain(): void {
    if (!this.draining || this.finalId !== MAX_STREAM_ID || this.over) return;
    this.finalId = this.lastId;
    sendGoAway(this.output, this.lastId, NO_ERROR, '');
    this.onStreamsChanged();
  }

  protected onStreamsChanged(): void {
    if (this.finalId !== MAX_STREAM_ID && this.streams === 0) this.finish(undefined, NO_ERROR);
  }

  protected onProtection(what: Protection): void {
    this.options.onProtected(what);
  }

  protected checkOwnTimes(nowMs: number): number {
    if (!this.draining || this.finalId !== MAX_STREAM_ID) return Number.POSITIVE_INFINITY;
    const left = this.drainSince + this.http2.drainMs - nowMs;
    if (left <= 0) this.endDrain();
    return left > 0 ? left : Number.POSITIVE_INFINITY;
  }

  protected onGone(): void {
    // Each stream's handler is told.
  }
}

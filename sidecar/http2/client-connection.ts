import type { Field } from '../http/field.ts';
import type { Limits } from '../http/limits.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { Transport } from '../transport/transport.ts';
import { Http2ClientStream } from './client-stream.ts';
import { ENDED, RESET } from './closed-streams.ts';
import { Http2Connection } from './connection.ts';
import { sendGoAway, sendPing } from './control-frames.ts';
import { NO_ERROR, PROTOCOL_ERROR } from './error-codes.ts';
import { MAX_STREAM_ID, PREFACE } from './frame.ts';
import type { HpackVerdict } from './hpack/decoder.ts';
import type { Http2Limits } from './http2-limits.ts';
import { ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE } from './settings.ts';
import type { Http2Stream } from './stream.ts';

const KEEP_ALIVE_PING = Buffer.from('alive ? ', 'latin1');

/** Told what becomes of a connection. */
export interface Http2ConnectionOwner {
  /** The server's settings came, or more streams may be opened than just before. */
  onCapacity(connection: Http2ClientConnection): void;
  /** No more streams may be opened; those that are open go on, unless there is an error. */
  onGoingAway(connection: Http2ClientConnection, error: Error | undefined): void;
  onGone(connection: Http2ClientConnection, error: Error | undefined): void;
}

/** One upstream HTTP/2 connection. */
export class Http2ClientConnection extends Http2Connection {
  /** Requests sent on it. */
  requests = 0;
  encrypted = false;
  protected readonly facesServer = true;
  protected readonly lastPeerStream = 0;
  private readonly owner: Http2ConnectionOwner;
  private nextId = 1;
  /** Streams that have a place and sent nothing yet. */
  private unsent = 0;
  private goingAway = false;
  private capacityTold = true;
  private readyTold = false;
  private pingSince = 0;
  private readonly untilReady: (() => void)[] = [];

  constructor(owner: Http2ConnectionOwner, limits: Limits, http2: Http2Limits, wheel: TimerWheel) {
    super(limits, http2, wheel);
    this.owner = owner;
  }

  /** Speaks first. Called when the socket is ready. */
  open(transport: Transport): void {
    this.encrypted = 'encrypted' in transport.socket;
    this.begin(transport, PREFACE, [
      [ENABLE_PUSH, 0],
      [INITIAL_WINDOW_SIZE, this.http2.streamWindowBytes],
      [MAX_HEADER_LIST_SIZE, this.limits.headBytes],
    ]);
    this.armWithin(this.http2.pingMs);
  }

  /** Streams that may be opened now. */
  get capacity(): number {
    if (this.goingAway || this.over) return 0;
    const ids = (MAX_STREAM_ID + 1 - this.nextId) / 2 - this.unsent;
    return Math.max(0, Math.min(this.peer.maxStreams - this.streams, ids));
  }

  override get streams(): number {
    return this.live.size + this.unsent;
  }

  get allowsConnectProtocol(): boolean {
    return this.peer.connectProtocol;
  }

  /** The server's settings came. One request may be sent before. */
  get ready(): boolean {
    return this.told;
  }

  /** Takes a place of `capacity`. */
  startStream(): Http2ClientStream {
    this.unsent++;
    this.capacityTold = this.capacity > 0;
    return new Http2ClientStream(this);
  }

  /** Calls back when the server's settings came, at once if they are there, or when they never will. */
  whenReady(proceed: () => void): void {
    if (this.ready || this.over) proceed();
    else this.untilReady.push(proceed);
  }

  private proceed(): void {
    for (const proceed of this.untilReady.splice(0)) proceed();
  }

  /** Gives a stream that is about to send its id. False: the connection is gone, the handler was told. */
  place(stream: Http2ClientStream): boolean {
    this.unsent--;
    stream.requests = ++this.requests;
    stream.sentMs = performance.now();
    if (this.over || this.transport.closed) {
      stream.failUnsent(new Error('HTTP/2: the connection was closed before the request was sent'));
      return false;
    }
    stream.id = this.nextId;
    this.nextId += 2;
    this.addStream(stream);
    if (this.nextId > MAX_STREAM_ID) this.goAway();
    return true;
  }

  /** A stream is not used. */
  giveBack(stream: Http2ClientStream): void {
    if (stream.closed) return;
    stream.closed = true;
    this.unsent--;
    this.onStreamsChanged();
  }

  private goAway(error?: Error): void {
    if (this.goingAway) return;
    this.goingAway = true;
    this.owner.onGoingAway(this, error);
  }

  /** Whose streams fail now may ask for another at once: not from this connection. */
  protected override finish(error: Error | undefined, code: number): void {
    this.goAway(error);
    super.finish(error, code);
    this.proceed();
  }

  /** No more streams; closes when the last is done. */
  close(): void {
    this.goingAway = true;
    this.onStreamsChanged();
  }

  destroy(): void {
    this.transport.destroy();
  }

  protected isIdle(streamId: number): boolean {
    return streamId >= this.nextId || streamId % 2 === 0;
  }

  protected onHeaders(
    streamId: number,
    ends: boolean,
    fields: Field[],
    verdict: HpackVerdict,
    selfDependent: boolean,
  ): void {
    const stream = this.find(streamId) as Http2ClientStream | undefined; // all ours are
    if (stream === undefined) {
      if (this.isIdle(streamId)) this.fail(PROTOCOL_ERROR, 'HEADERS on an idle stream');
    } else if (selfDependent || stream.receiveEnded) {
      this.peerBroke(stream, PROTOCOL_ERROR);
    } else {
      stream.receiveHeaders(ends, fields, verdict);
    }
  }

  protected onClosedData(): void {
    // It was under way when we reset the stream.
  }

  protected onLateReset(): void {
    // A server says by it that it has no use for the rest of a request.
  }

  protected onPeerReset(stream: Http2Stream, code: number): void {
    this.removeStream(stream, ENDED);
    stream.onReset(code);
  }

  protected onGoAway(lastId: number, code: number): void {
    this.goAway();
    for (const stream of this.live.all()) {
      if (stream.id <= lastId) continue;
      this.removeStream(stream, RESET);
      (stream as Http2ClientStream).refused(code); // all ours are
    }
    this.onStreamsChanged();
  }

  protected onPingAck(): void {
    this.pingSince = 0;
  }

  protected onStreamsChanged(): void {
    if (this.goingAway) {
      if (this.streams === 0 && !this.over) this.endIdle();
      return;
    }
    if (this.ready) this.proceed();
    const risen = this.ready && (!this.readyTold || (!this.capacityTold && this.capacity > 0));
    this.readyTold = this.ready;
    this.capacityTold = this.capacity > 0;
    if (risen) this.owner.onCapacity(this);
  }

  private endIdle(): void {
    sendGoAway(this.output, 0, NO_ERROR, '');
    this.finish(undefined, NO_ERROR);
  }

  protected onProtection(): void {
    // The streams' failures say which protection it was.
  }

  /** Asks a server that is silent with streams open whether it is there. */
  protected checkOwnTimes(nowMs: number): number {
    const { pingMs, pingAckMs } = this.http2;
    if (this.pingSince > this.lastRead) {
      const left = this.pingSince + pingAckMs - nowMs;
      if (left > 0) return left;
      this.dead(nowMs);
      return Number.POSITIVE_INFINITY;
    }
    this.pingSince = 0;
    if (this.streams === 0) return pingMs;
    const left = this.lastRead + pingMs - nowMs;
    if (left > 0) return left;
    this.ask(nowMs);
    return pingAckMs;
  }

  /**
   * A request is given up. If nothing came since it was sent, the connection may be half-open: the requests after it would
   * all wait in vain. A server that had little time is not asked: some count questions against who asks.
   */
  doubt(sentMs: number): void {
    if (sentMs === 0 || this.over || this.lastRead > sentMs || this.pingSince > this.lastRead) return;
    const nowMs = performance.now();
    if (nowMs - sentMs < this.http2.doubtMs) return;
    this.ask(nowMs);
    this.armWithin(this.http2.pingAckMs);
  }

  private ask(nowMs: number): void {
    this.pingSince = nowMs;
    sendPing(this.output, 0, KEEP_ALIVE_PING, 0);
  }

  private dead(nowMs: number): void {
    const silentMs = Math.round(nowMs - this.lastRead);
    const words = `HTTP/2: the server was silent for ${silentMs} ms and did not answer a PING`;
    this.finish(new Error(words), NO_ERROR);
    this.transport.destroy();
  }

  protected onGone(error: Error | undefined): void {
    this.goingAway = true;
    this.proceed();
    this.owner.onGone(this, error);
  }
}

import type { Field } from '../http/field.ts';
import type { Limits } from '../http/limits.ts';
import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { Transport, TransportReader } from '../transport/transport.ts';
import { ClosedStreams, ENDED, RESET } from './closed-streams.ts';
import {
  PING_BYTES,
  sendGoAway,
  sendPing,
  sendReset,
  sendSettings,
  sendSettingsAck,
  sendWindowUpdate,
} from './control-frames.ts';
import {
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  NO_ERROR,
  PROTOCOL_ERROR,
  SETTINGS_TIMEOUT,
  STREAM_CLOSED,
} from './error-codes.ts';
import { FloodGuard, type Protection } from './flood-guard.ts';
import { INITIAL_WINDOW, MAX_WINDOW, ReceiveWindow } from './flow-window.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  HEADERS,
  PADDED,
  PING,
  PRIORITY,
  PUSH_PROMISE,
  RST_STREAM,
  readUint31,
  readUint32,
  SETTINGS,
  WINDOW_UPDATE,
  WITH_PRIORITY,
} from './frame.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { HeaderBlock } from './header-block.ts';
import { HpackDecoder, type HpackVerdict } from './hpack/decoder.ts';
import type { Http2Limits } from './http2-limits.ts';
import { Output } from './output.ts';
import { Sender } from './sender.ts';
import {
  HEADER_TABLE_SIZE,
  MAX_CONCURRENT_STREAMS,
  PeerSettings,
  SETTING_BYTES,
  type Setting,
  settingId,
  settingValue,
} from './settings.ts';
import type { Http2Stream } from './stream.ts';
import { StreamTable } from './stream-table.ts';

const PRIORITY_BYTES = 5;
/** The table that a peer may use until it knows our settings (RFC 9113 section 6.5.2). */
const FIRST_TABLE_BYTES = 4096;
/** :method, :scheme, :authority, :path and :protocol come on top of the header lines. */
const PSEUDO_FIELDS = 5;
/** A block as it came is at most so many times larger than the list that is taken. */
const BLOCK_SLACK = 2;
/** Until a check of the times is due that nothing else asks for sooner. */
const NEVER = Number.POSITIVE_INFINITY;

/** A frame that ends in an error of its connection throws nothing: it calls `fail`, and reading stops. */
export abstract class Http2Connection implements TransportReader, Timed, FrameSink {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  transport: Transport;
  readonly limits: Limits;
  readonly http2: Http2Limits;
  readonly peer = new PeerSettings();
  /** When the current read began, in ms of performance.now(). */
  now = 0;
  /** When bytes came last. */
  protected lastRead = 0;
  /** Bytes of this connection are being handed over. */
  reading = false;
  protected readonly wheel: TimerWheel;
  protected readonly guard: FloodGuard;
  protected readonly live = new StreamTable<Http2Stream>();
  protected readonly past = new ClosedStreams();
  protected output: Output;
  sender: Sender;
  /** The first SETTINGS of the peer came. */
  protected told = false;
  /** Nothing that comes is looked at: the connection has not begun, is being closed, or is gone. */
  protected over = true;
  private readonly reader: FrameReader;
  private readonly decoder: HpackDecoder;
  private readonly window: ReceiveWindow;
  private found: Http2Stream | undefined = undefined;
  /** The stream, the flags and the bytes so far of the DATA frame that is being read. */
  private dataStream: Http2Stream | undefined = undefined;
  private dataFlags = 0;
  private dataBytes = 0;
  private block: HeaderBlock | undefined = undefined;
  private blockSince = 0;
  private touched: Http2Stream[] = [];
  private settingsSince = 0;
  private idleSince = 0;
  private lingersUntil = 0;

  constructor(limits: Limits, http2: Http2Limits, wheel: TimerWheel) {
    this.limits = limits;
    this.http2 = http2;
    this.wheel = wheel;
    this.guard = new FloodGuard(http2);
    this.reader = new FrameReader(this);
    this.window = new ReceiveWindow(Math.max(INITIAL_WINDOW, http2.connectionWindowBytes));
    this.decoder = new HpackDecoder({
      tableBytes: http2.tableBytes,
      listBytes: limits.headBytes,
      fields: limits.headers + PSEUDO_FIELDS,
    });
    this.transport = undefined as unknown as Transport; // these three are set before anything is sent
    this.output = undefined as unknown as Output;
    this.sender = undefined as unknown as Sender;
  }

  /** Whether the peer is a server. */
  protected abstract readonly facesServer: boolean;
  /** The highest stream of the peer's that we know. */
  protected abstract readonly lastPeerStream: number;
  /** Whether a stream that is not open was never begun. */
  protected abstract isIdle(streamId: number): boolean;
  protected abstract onHeaders(
    streamId: number,
    ends: boolean,
    fields: Field[],
    verdict: HpackVerdict,
    selfDependent: boolean,
  ): void;
  /** DATA on a stream that is closed. */
  protected abstract onClosedData(streamId: number): void;
  /** RST_STREAM on a stream that is closed. */
  protected abstract onLateReset(streamId: number): void;
  protected abstract onPeerReset(stream: Http2Stream, code: number): void;
  protected abstract onGoAway(lastId: number, code: number): void;
  /** `bytes`: the payload from `start` on. */
  protected abstract onPingAck(bytes: Buffer, start: number): void;
  /** Streams or the peer's limits changed. */
  protected abstract onStreamsChanged(): void;
  protected abstract onProtection(what: Protection): void;
  /** Ms until the next time of its own is due; what is due is done. */
  protected abstract checkOwnTimes(nowMs: number): number;
  protected abstract onGone(error: Error | undefined): void;

  get streams(): number {
    return this.live.size;
  }

  /** Begins to speak; `first` goes before our settings. */
  protected begin(transport: Transport, first: string, settings: readonly Setting[]): void {
    this.transport = transport;
    this.over = false;
    this.output = new Output(transport, this.http2.outputBytes, () => this.protect('output-flood'));
    this.sender = new Sender(this.output, transport, this.peer, this.guard);
    this.now = performance.now();
    this.settingsSince = this.now;
    this.lastRead = this.now;
    this.idleSince = this.now;
    const table: Setting[] =
      this.http2.tableBytes === FIRST_TABLE_BYTES ? [] : [[HEADER_TABLE_SIZE, this.http2.tableBytes]];
    sendSettings(this.output, first, [...settings, ...table]);
    const more = this.http2.connectionWindowBytes - INITIAL_WINDOW;
    if (more > 0) this.sendWindowUpdate(0, more);
    this.wheel.arm(this, Math.min(this.limits.headMs, this.limits.idleMs));
  }

  onBytes(bytes: Buffer, start: number, end: number): void {
    if (this.over) return;
    const now = performance.now();
    this.now = now;
    this.lastRead = now;
    this.guard.tick(now);
    this.reading = true;
    const at = this.readPreface(bytes, start, end);
    if (at < end && !this.over) this.reader.feed(bytes, at, end);
    this.reading = false;
    this.endRead();
  }

  /** Returns the offset after what of a preface was read. */
  protected readPreface(_bytes: Buffer, start: number, _end: number): number {
    return start;
  }

  private endRead(): void {
    const { touched } = this;
    if (touched.length > 0) {
      this.touched = [];
      for (const stream of touched) {
        stream.touched = false;
        if (!stream.closed) stream.onReadEnd();
      }
    }
    if (this.block !== undefined && this.blockSince === 0) {
      this.blockSince = this.now;
      this.armWithin(this.limits.headMs);
    }
  }

  /** Until the peer knows our setting, it goes by the initial window. */
  newReceiveWindow(): ReceiveWindow {
    const size = this.http2.streamWindowBytes;
    return new ReceiveWindow(size, this.settingsSince === 0 ? size : Math.max(size, INITIAL_WINDOW));
  }

  /** `stream` gets a flush at the end of the read. */
  touch(stream: Http2Stream): void {
    if (stream.touched) return;
    stream.touched = true;
    this.touched.push(stream);
  }

  protected find(streamId: number): Http2Stream | undefined {
    if (this.found?.id === streamId) return this.found;
    const stream = this.live.get(streamId);
    if (stream !== undefined) this.found = stream;
    return stream;
  }

  protected addStream(stream: Http2Stream): void {
    stream.sendWindow = this.peer.streamWindow;
    this.live.add(stream);
    this.found = stream;
    this.guard.streamOpened();
  }

  /** The stream is over for both sides. */
  protected removeStream(stream: Http2Stream, how: number): void {
    if (stream.closed) return;
    stream.closed = true;
    stream.discardQueue();
    this.live.remove(stream);
    if (this.found === stream) this.found = undefined;
    this.past.add(stream.id, how);
    if (this.live.size === 0) this.idleSince = this.now;
    this.onStreamsChanged();
  }

  streamEnded(stream: Http2Stream): void {
    this.removeStream(stream, ENDED);
  }

  /** Ends a stream by RST_STREAM. */
  resetStream(stream: Http2Stream, code: number): void {
    if (stream.closed) return;
    sendReset(this.output, stream.id, code);
    this.removeStream(stream, RESET);
  }

  /** As `resetStream`, for what the peer did: it counts as a reset of the peer's (CVE-2025-8671). */
  resetMalformed(stream: Http2Stream, code: number = PROTOCOL_ERROR): void {
    this.resetStream(stream, code);
    this.countReset();
  }

  protected countReset(): void {
    if (!this.guard.reset()) this.protect('rapid-reset');
  }

  onFrameHeader(type: number, flags: number, streamId: number, length: number): boolean {
    if (!this.told && (type !== SETTINGS || (flags & ACK) !== 0))
      return this.fail(PROTOCOL_ERROR, 'the first frame is not SETTINGS');
    const { block } = this;
    if (block !== undefined) {
      if (type !== CONTINUATION || streamId !== block.streamId)
        return this.fail(PROTOCOL_ERROR, 'a header block is interrupted');
    } else if (type === CONTINUATION) {
      return this.fail(PROTOCOL_ERROR, 'CONTINUATION without a header block');
    }
    return type !== DATA || this.beginData(flags, streamId, length);
  }

  onFrameError(code: number, detail: string): void {
    this.fail(code, detail);
  }

  private beginData(flags: number, streamId: number, length: number): boolean {
    this.dataStream = undefined;
    this.dataFlags = flags;
    this.dataBytes = 0;
    if (streamId === 0) return this.fail(PROTOCOL_ERROR, 'DATA on stream 0');
    if (!this.window.take(length)) return this.fail(FLOW_CONTROL_ERROR, 'more DATA than the window allows');
    const credit = this.window.credit();
    if (credit > 0) this.sendWindowUpdate(0, credit);
    const stream = this.find(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) return this.fail(PROTOCOL_ERROR, 'DATA on an idle stream');
      this.onClosedData(streamId);
    } else if (stream.receiveEnded) {
      this.peerBroke(stream, STREAM_CLOSED);
    } else if (!stream.takeWindow(length)) {
      this.peerBroke(stream, FLOW_CONTROL_ERROR);
    } else {
      this.dataStream = stream;
    }
    return !this.over;
  }

  /** Resets a stream for an error of the peer's, and tells whoever it serves. */
  protected peerBroke(stream: Http2Stream, code: number): void {
    this.resetMalformed(stream, code);
    stream.onReset(code);
  }

  onDataBytes(bytes: Buffer, start: number, end: number): void {
    const stream = this.dataStream;
    this.dataBytes += end - start;
    if (stream === undefined || stream.closed) return;
    if (!stream.touched) this.touch(stream);
    stream.receiveData(bytes, start, end);
  }

  onDataEnd(): void {
    const stream = this.dataStream;
    this.dataStream = undefined;
    const ends = (this.dataFlags & END_STREAM) !== 0;
    if (this.dataBytes === 0 && !ends && !this.guard.emptyFrame()) this.protect('empty-frames');
    if (stream === undefined || stream.closed) return;
    if (ends) stream.receiveEnd(undefined);
    else stream.giveCredit();
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case HEADERS:
        this.readHeaders(flags, streamId, bytes, start, end);
        break;
      case CONTINUATION:
        this.readContinuation(flags, bytes, start, end);
        break;
      case PRIORITY:
        this.readPriority(streamId, bytes, start, end);
        break;
      case RST_STREAM:
        this.readReset(streamId, bytes, start, end);
        break;
      case SETTINGS:
        this.readSettings(flags, streamId, bytes, start, end);
        break;
      case PING:
        this.readPing(flags, streamId, bytes, start, end);
        break;
      case GOAWAY:
        this.readGoAway(streamId, bytes, start, end);
        break;
      case WINDOW_UPDATE:
        this.readWindowUpdate(streamId, bytes, start, end);
        break;
      case PUSH_PROMISE:
        // Push is off: a server must not promise, and a client never may (RFC 9113 section 8.4).
        this.fail(PROTOCOL_ERROR, 'PUSH_PROMISE was not asked for');
    }
  }

  private readHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) {
      this.fail(PROTOCOL_ERROR, 'HEADERS on stream 0');
      return;
    }
    let from = start;
    let to = end;
    if ((flags & PADDED) !== 0) to -= from < end ? (bytes[from++] as number) : 1; // the bound is checked
    let selfDependent = false;
    if ((flags & WITH_PRIORITY) !== 0) {
      selfDependent = from + PRIORITY_BYTES <= to && readUint31(bytes, from) === streamId;
      from += PRIORITY_BYTES;
    }
    if (from > to) {
      this.fail(PROTOCOL_ERROR, 'HEADERS is shorter than its padding and priority');
      return;
    }
    const ends = (flags & END_STREAM) !== 0;
    if ((flags & END_HEADERS) !== 0) {
      this.readBlock(streamId, ends, selfDependent, bytes, from, to);
      return;
    }
    this.block = new HeaderBlock(streamId, ends, selfDependent);
    this.addFragment(this.block, bytes, from, to);
  }

  private readContinuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const block = this.block as HeaderBlock; // onFrameHeader lets none come without
    const ends = (flags & END_HEADERS) !== 0;
    if (++block.continuations > this.http2.continuations) {
      this.protect('continuation-flood');
      return;
    }
    this.addFragment(block, bytes, start, end, ends);
    if (!ends || this.over) return;
    this.block = undefined;
    this.blockSince = 0;
    const whole = block.whole();
    this.readBlock(block.streamId, block.endsStream, block.selfDependent, whole, 0, whole.length);
  }

  private addFragment(block: HeaderBlock, bytes: Buffer, start: number, end: number, last = false): void {
    block.add(bytes, start, end);
    if (block.bytes > this.limits.headBytes * BLOCK_SLACK) this.protect('continuation-flood');
    else if (start === end && !last && !this.guard.emptyFrame()) this.protect('empty-frames');
  }

  private readBlock(
    streamId: number,
    ends: boolean,
    selfDependent: boolean,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const fields: Field[] = [];
    const verdict = this.decoder.decode(bytes, start, end, fields);
    if (verdict === 'malformed') this.fail(COMPRESSION_ERROR, 'a header block cannot be decoded');
    else if (verdict === 'bomb') this.protect('header-bomb');
    else this.onHeaders(streamId, ends, fields, verdict, selfDependent);
  }

  private readPriority(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) {
      this.fail(PROTOCOL_ERROR, 'PRIORITY on stream 0');
    } else if (!this.guard.priority()) {
      this.protect('priority-flood');
    } else if (end - start !== PRIORITY_BYTES) {
      this.breakStream(streamId, FRAME_SIZE_ERROR);
    } else if (readUint31(bytes, start) === streamId) {
      this.breakStream(streamId, PROTOCOL_ERROR);
    }
  }

  /** A stream error on a stream that need not be open. */
  private breakStream(streamId: number, code: number): void {
    const stream = this.find(streamId);
    if (stream !== undefined) {
      this.peerBroke(stream, code);
      return;
    }
    sendReset(this.output, streamId, code);
    this.countReset();
  }

  private readReset(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) {
      this.fail(FRAME_SIZE_ERROR, 'RST_STREAM is not 4 bytes long');
      return;
    }
    const stream = streamId === 0 ? undefined : this.find(streamId);
    if (stream !== undefined) {
      this.onPeerReset(stream, readUint32(bytes, start));
    } else if (streamId === 0 || this.isIdle(streamId)) {
      this.fail(PROTOCOL_ERROR, 'RST_STREAM on an idle stream');
    } else {
      this.onLateReset(streamId);
    }
  }

  private readSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) {
      this.fail(PROTOCOL_ERROR, 'SETTINGS on a stream');
    } else if ((flags & ACK) !== 0) {
      if (start === end) this.settingsSince = 0;
      else this.fail(FRAME_SIZE_ERROR, 'an acknowledgement of SETTINGS has a payload');
    } else if ((end - start) % SETTING_BYTES !== 0) {
      this.fail(FRAME_SIZE_ERROR, 'SETTINGS is not made of whole settings');
    } else if (!this.guard.setting()) {
      this.protect('settings-flood');
    } else {
      this.takeSettings(bytes, start, end);
    }
  }

  private takeSettings(bytes: Buffer, start: number, end: number): void {
    const { peer } = this;
    const windowBefore = peer.streamWindow;
    const tableBefore = peer.headerTableBytes;
    let limitsStreams = false;
    for (let at = start; at < end; at += SETTING_BYTES) {
      const id = settingId(bytes, at);
      if (id === MAX_CONCURRENT_STREAMS) limitsStreams = true;
      const code = peer.apply(id, settingValue(bytes, at), this.facesServer);
      if (code === NO_ERROR) continue;
      this.fail(code, `setting ${id} has a value that is not allowed`);
      return;
    }
    const first = !this.told;
    this.told = true;
    peer.told(limitsStreams, first);
    if (peer.headerTableBytes !== tableBefore)
      this.sender.encoder.setMaxTableBytes(Math.min(peer.headerTableBytes, this.http2.tableBytes));
    sendSettingsAck(this.output);
    if (!this.moveWindows(peer.streamWindow - windowBefore)) return;
    this.onStreamsChanged();
  }

  /** All streams' windows move with the setting, below 0 too (RFC 9113 section 6.9.2). */
  private moveWindows(by: number): boolean {
    if (by === 0) return true;
    for (const stream of this.live.all()) {
      stream.sendWindow += by;
      if (stream.sendWindow > MAX_WINDOW)
        return this.fail(FLOW_CONTROL_ERROR, 'SETTINGS makes a window larger than 2^31-1');
    }
    if (by > 0) this.sender.pump();
    return true;
  }

  private readPing(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) {
      this.fail(PROTOCOL_ERROR, 'PING on a stream');
    } else if (end - start !== PING_BYTES) {
      this.fail(FRAME_SIZE_ERROR, 'PING is not 8 bytes long');
    } else if ((flags & ACK) !== 0) {
      this.onPingAck(bytes, start);
    } else if (!this.guard.ping()) {
      this.protect('ping-flood');
    } else {
      sendPing(this.output, ACK, bytes, start);
    }
  }

  private readGoAway(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) this.fail(PROTOCOL_ERROR, 'GOAWAY on a stream');
    else if (end - start < 8) this.fail(FRAME_SIZE_ERROR, 'GOAWAY is shorter than 8 bytes');
    else this.onGoAway(readUint31(bytes, start), readUint32(bytes, start + 4));
  }

  private readWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) {
      this.fail(FRAME_SIZE_ERROR, 'WINDOW_UPDATE is not 4 bytes long');
      return;
    }
    const increment = readUint31(bytes, start);
    if (!this.guard.windowUpdate(increment)) this.protect('window-flood');
    else if (streamId === 0) this.enlargeWindow(increment);
    else this.enlargeStreamWindow(streamId, increment);
  }

  private enlargeWindow(increment: number): void {
    if (increment === 0) {
      this.fail(PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
      return;
    }
    this.sender.window += increment;
    if (this.sender.window > MAX_WINDOW) this.fail(FLOW_CONTROL_ERROR, 'the window is larger than 2^31-1');
    else this.sender.pump();
  }

  private enlargeStreamWindow(streamId: number, increment: number): void {
    const stream = this.find(streamId);
    if (stream === undefined) {
      if (this.isIdle(streamId)) this.fail(PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream');
      return;
    }
    stream.sendWindow += increment;
    if (increment === 0) this.peerBroke(stream, PROTOCOL_ERROR);
    else if (stream.sendWindow > MAX_WINDOW) this.peerBroke(stream, FLOW_CONTROL_ERROR);
    else if (stream.queuedBytes > 0) this.sender.pump();
  }

  sendWindowUpdate(streamId: number, increment: number): void {
    sendWindowUpdate(this.output, streamId, increment);
  }

  /** `stream` is to go on when a window or the socket allows it. */
  wait(stream: Http2Stream): void {
    this.sender.wait(stream);
    this.armWithin(this.http2.stalledMs);
  }

  onDrain(): void {
    if (!this.over) this.sender.pump();
  }

  /** Ends the connection for an error of the peer's (RFC 9113 section 5.4.1). Returns false, so that a frame's reader can stop. */
  protected fail(code: number, debug: string): false {
    if (this.over) return false;
    sendGoAway(this.output, this.lastPeerStream, code, debug);
    this.finish(new Error(`HTTP/2: ${debug}`), code);
    return false;
  }

  protected protect(what: Protection): void {
    if (this.over) return;
    this.fail(ENHANCE_YOUR_CALM, what);
    this.onProtection(what);
  }

  /** Sends what is written and FIN; reads on for a while, since closing with unread bytes would reset it all away. */
  protected finish(error: Error | undefined, code: number): void {
    if (this.over) return;
    this.stopReading();
    // A whole response may still be on its way to a slow client.
    this.lingersUntil = performance.now() + (code === NO_ERROR ? this.http2.stalledMs : 0);
    this.output.flush();
    this.transport.end();
    this.wheel.arm(this, this.http2.lingerMs);
    this.failStreams(error, code);
  }

  private stopReading(): void {
    this.over = true;
    this.reader.stop();
    this.block = undefined;
    // A connect that failed never began.
    (this.sender as Sender | undefined)?.clear();
  }

  private failStreams(error: Error | undefined, code: number): void {
    const streams = this.live.all();
    this.live.clear();
    this.found = undefined;
    for (const stream of streams) {
      if (stream.closed) continue;
      stream.closed = true;
      stream.discardQueue();
      stream.onConnectionGone(error, code);
    }
  }

  onEnd(): void {
    // Neither credit nor answers can come any more.
    if (this.over) this.transport.destroy();
    else this.finish(undefined, NO_ERROR);
  }

  onClosed(error: Error | undefined): void {
    if (!this.over) this.stopReading();
    this.wheel.disarm(this);
    this.onGone(error);
    this.failStreams(error, -1);
  }

  protected armWithin(ms: number): void {
    if (this.over) return;
    if (this.wheelSlot < 0 || this.wheelDeadline > performance.now() + ms) this.wheel.arm(this, ms);
  }

  onDeadline(): void {
    const now = performance.now();
    if (this.over) {
      if (this.transport.socket.writableLength === 0 || now >= this.lingersUntil) this.transport.destroy();
      else this.wheel.arm(this, this.http2.lingerMs);
      return;
    }
    this.now = now;
    const next = Math.min(this.checkTimes(now), this.checkOwnTimes(now));
    if (!this.over && next < NEVER) this.wheel.arm(this, Math.max(1, next));
  }

  private checkTimes(nowMs: number): number {
    const { headMs } = this.limits;
    const settings = this.settingsSince === 0 ? NEVER : this.settingsSince + headMs - nowMs;
    const block = this.blockSince === 0 ? NEVER : this.blockSince + headMs - nowMs;
    const idle = this.streams > 0 ? NEVER : this.idleSince + this.limits.idleMs - nowMs;
    if (settings <= 0) this.fail(SETTINGS_TIMEOUT, 'no preface, or our SETTINGS was not acknowledged');
    else if (block <= 0) this.fail(ENHANCE_YOUR_CALM, 'a header block did not come to its end in time');
    else if (idle <= 0) this.goIdle();
    const next = Math.min(settings, block, idle, this.checkStalled(nowMs));
    // With streams open, the connection may become idle just after.
    return Math.min(next, this.limits.idleMs);
  }

  private goIdle(): void {
    sendGoAway(this.output, this.lastPeerStream, NO_ERROR, '');
    this.finish(undefined, NO_ERROR);
  }

  /** Resets streams whose data nobody takes. */
  private checkStalled(nowMs: number): number {
    let next = NEVER;
    for (const stream of this.sender.stalled()) {
      const left = stream.stalledSince + this.http2.stalledMs - nowMs;
      next = Math.min(next, Math.max(1, left));
      if (left > 0) continue;
      this.resetStream(stream, ENHANCE_YOUR_CALM);
      this.onProtection('slow-window');
      stream.onReset(ENHANCE_YOUR_CALM);
    }
    return next;
  }
}

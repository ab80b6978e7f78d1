import type { Downstream, RequestHandler } from '../http/downstream.ts';
import type { Field } from '../http/field.ts';
import type { Limits } from '../http/limits.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import { phrase } from '../http/phrases.ts';
import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import { SMALL_BYTES, type Transport, type TransportReader } from '../transport/transport.ts';
import { ChunkedReader, MALFORMED, NEED_MORE, type RangeSink } from './chunked.ts';
import { CHUNKED, type Head, LENGTH } from './head.ts';
import { FAILED, HeadParser, INCOMPLETE } from './head-parser.ts';
import { lastChunk } from './last-chunk.ts';
import { PROBLEMS } from './problems.ts';
import { framingOf, statusAndFields, switches, switchingText } from './response-text.ts';

const HEAD = 0;
const BODY = 1;
/** The request is read whole; its response is still to be finished. */
const RESPONDING = 2;
const TUNNEL = 3;
/** The last response is written: what still comes is thrown away until the client closes. */
const LINGERING = 4;

const LINGER_MS = 2_000;
const LINGER_BYTES = 1024 * 1024;

/** One downstream HTTP/1.1 connection: requests in, responses out, strictly in order. */
export class ServerConnection implements Downstream, TransportReader, Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  handler: RequestHandler;
  readonly parser: HeadParser;
  transport: Transport;
  requests = 0;
  private readonly limits: Limits;
  private readonly wheel: TimerWheel;
  private state = HEAD;
  private remaining = 0;
  private chunked: ChunkedReader | undefined = undefined;
  private responseDone = true;
  private closeAfterResponse = false;
  private draining = false;
  private pendingHead = '';
  /** The response is to HEAD: it has no body, whatever it says. */
  private answersHead = false;
  /** The response's data is put into chunks here. */
  private encode = false;
  private feeding = false;
  private held: Buffer | undefined = undefined;
  private blocked = false;
  private lastActive = 0;
  private headSince = 0;
  private lingered = 0;
  /** Made for the first chunked body, so that it needs no closure for each read. */
  private passData: RangeSink | undefined = undefined;

  constructor(handler: RequestHandler, limits: Limits, wheel: TimerWheel) {
    this.handler = handler;
    this.limits = limits;
    this.wheel = wheel;
    this.parser = new HeadParser('request', limits);
    this.transport = undefined as unknown as Transport; // `open` sets it before any byte comes
  }

  /** Begins to serve `transport`, whose reader is this connection. */
  open(transport: Transport): void {
    this.transport = transport;
    this.lastActive = performance.now();
    this.wheel.arm(this, this.limits.idleMs);
  }

  get idle(): boolean {
    return this.responseDone && this.state === HEAD;
  }

  /** Whether bytes of the client are being handed over right now. */
  get reading(): boolean {
    return this.feeding;
  }

  /** Whether more of the current request's body is to come. */
  get readsBody(): boolean {
    return this.state === BODY;
  }

  get version(): number {
    return this.parser.head.version;
  }

  /** Whether the response must say that this connection ends after it. */
  get willClose(): boolean {
    return this.closeAfterResponse || this.draining;
  }

  /** The next response says that it is the last: the client goes elsewhere, and nothing it sends meanwhile is lost. */
  leave(): void {
    this.draining = true;
  }

  /** No more requests after the current one; an idle connection is closed at once. */
  drain(): void {
    this.draining = true;
    if (this.idle && !this.parser.begun) this.finish();
  }

  onBytes(bytes: Buffer, start: number, end: number): void {
    this.feed(bytes, start, end);
  }

  private feed(bytes: Buffer, start: number, end: number): void {
    let position = start;
    this.feeding = true;
    while (position < end) {
      const before = position;
      const state = this.state;
      if (state === HEAD) {
        if (this.transport.backedUp) {
          this.hold(bytes, position, end);
          break;
        }
        position = this.readHead(bytes, position, end);
      } else if (state === BODY) {
        position = this.readBody(bytes, position, end);
      } else if (state === TUNNEL) {
        this.handler.onRequestData(bytes, position, end);
        position = end;
      } else if (state === RESPONDING) {
        this.hold(bytes, position, end);
        break;
      } else {
        this.linger(end - position);
        break;
      }
      if (position < before) break;
    }
    this.feeding = false;
    if (this.state === BODY || this.state === TUNNEL || this.state === RESPONDING)
      this.handler.onRequestFlush();
  }

  /** Returns the offset after the head, or -1 when there is nothing more to read. */
  private readHead(bytes: Buffer, start: number, end: number): number {
    const stop = this.parser.parse(bytes, start, end);
    if (stop === INCOMPLETE) {
      if (this.headSince === 0) {
        this.headSince = performance.now();
        this.wheel.arm(this, this.limits.headMs);
      }
      return -1;
    }
    this.headSince = 0;
    this.requests++;
    this.responseDone = false;
    if (stop === FAILED) {
      this.answersHead = false;
      this.refuse(this.parser.problem ?? PROBLEMS.requestLine);
      return -1;
    }
    this.begin(this.parser.head);
    return stop;
  }

  private begin(head: Head): void {
    this.closeAfterResponse = head.close || (head.minor === 0 && !head.keepAlive);
    this.answersHead = head.method === 'HEAD';
    if (head.framing === CHUNKED) {
      this.chunked ??= new ChunkedReader(this.limits);
      this.chunked.reset(true);
      this.state = BODY;
      this.transport.stream(true);
    } else if (head.framing === LENGTH && head.length > 0) {
      this.remaining = head.length;
      this.state = BODY;
      this.transport.stream(head.length > SMALL_BYTES);
    } else {
      this.state = RESPONDING;
    }
    const ended = this.state === RESPONDING;
    this.handler.onRequest(head);
    if (ended && this.state === RESPONDING && !this.responseDone) this.handler.onRequestEnd(undefined);
  }

  private readBody(bytes: Buffer, start: number, end: number): number {
    if (this.parser.head.framing === CHUNKED) return this.readChunked(bytes, start, end);
    const stop = Math.min(end, start + this.remaining);
    this.remaining -= stop - start;
    this.handler.onRequestData(bytes, start, stop);
    if (this.remaining === 0 && this.state === BODY) this.requestRead();
    return stop;
  }

  private readChunked(bytes: Buffer, start: number, end: number): number {
    const chunked = this.chunked as ChunkedReader; // begin() made it for this body
    this.passData ??= (range, from, to) => this.handler.onRequestData(range, from, to);
    const stop = chunked.feed(bytes, start, end, this.passData);
    if (this.state !== BODY) return -1;
    if (stop === NEED_MORE) return end;
    if (stop === MALFORMED) {
      this.closeAfterResponse = true;
      this.state = LINGERING;
      this.handler.onRequestAborted(chunked.problem ?? PROBLEMS.chunk);
      return -1;
    }
    this.requestRead();
    return stop;
  }

  private requestRead(): void {
    this.transport.stream(false);
    this.state = RESPONDING;
    this.handler.onRequestEnd(undefined);
    if (this.responseDone) this.next();
  }

  /** Bytes of a pipelined request wait until the response before it is out. */
  private hold(bytes: Buffer, start: number, end: number): void {
    const copy = Buffer.from(bytes.subarray(start, end));
    this.held = this.held === undefined ? copy : Buffer.concat([this.held, copy]);
    this.transport.pause();
  }

  private release(): void {
    while (
      this.held !== undefined &&
      !this.feeding &&
      this.state !== RESPONDING &&
      !this.transport.backedUp
    ) {
      const held = this.held;
      this.held = undefined;
      this.feed(held, 0, held.length);
    }
    if (this.held === undefined && !this.blocked) this.transport.resume();
  }

  /** Stops reading the request's body: the upstream does not take it fast enough. */
  pauseRequest(): void {
    this.blocked = true;
    this.transport.pause();
  }

  resumeRequest(): void {
    this.blocked = false;
    if (this.held === undefined) this.transport.resume();
  }

  /** The bytes after the head are a tunnel's (status 101). */
  tunnel(): void {
    this.state = TUNNEL;
    this.transport.stream(true);
    this.flushHead();
    this.release();
  }

  private refuse(problem: MessageProblem): void {
    this.closeAfterResponse = true;
    this.state = LINGERING;
    this.handler.onRefused(problem);
  }

  /** HTTP/1.0 knows no interim responses (RFC 9110 section 15.2). */
  informational(head: MessageHead): void {
    if (this.parser.head.minor === 1) this.transport.write(`${statusAndFields(head)}\r\n`);
  }

  respond(head: MessageHead, added: string): void {
    const request = this.parser.head;
    if (switches(head, request)) {
      this.responseHead(switchingText(head, request, added));
      return;
    }
    const framing = framingOf(head, request);
    this.encode = framing.encode;
    if (framing.close) this.closeAfterResponse = true;
    this.responseHead(`${statusAndFields(head)}${added}${framing.fields}${this.connectionLine()}\r\n`);
  }

  private connectionLine(): string {
    if (this.willClose) return 'connection: close\r\n';
    return this.parser.head.minor === 0 ? 'connection: keep-alive\r\n' : '';
  }

  respondLocally(status: number, fields: string, body: string): void {
    // A body that is still to come would be read as the next request: the connection ends (RFC 9112 section 9.3).
    if (this.readsBody) this.closeAfterResponse = true;
    const close = this.willClose ? 'connection: close\r\n' : '';
    // RFC 9110 section 8.6: 204 has no length.
    const length = status === 204 ? '' : `content-length: ${body.length}\r\n`;
    const text = `HTTP/1.1 ${status} ${phrase(status)}\r\n${fields}${length}${close}\r\n`;
    this.responseHead(this.answersHead ? text : text + body);
    this.responseEnd();
  }

  /** Gives the response's head; it is sent with the first bytes of its body, at the latest by `flush`. */
  responseHead(text: string): void {
    this.pendingHead = text;
  }

  responseData(source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    if (!this.encode) return this.write(source, bytes, start, end);
    // An empty chunk would end the body.
    return start === end || this.writeChunk(source, bytes, start, end);
  }

  private writeChunk(source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    const { socket } = this.transport;
    socket.cork();
    this.responseText(`${(end - start).toString(16)}\r\n`);
    this.write(source, bytes, start, end);
    const ready = this.responseText('\r\n');
    socket.uncork();
    return ready;
  }

  private write(source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    const head = this.pendingHead;
    if (head === '') return this.transport.forward(source, bytes, start, end);
    this.pendingHead = '';
    return this.transport.writeJoined(head, bytes, start, end);
  }

  private responseText(text: string): boolean {
    const head = this.pendingHead;
    this.pendingHead = '';
    return this.transport.write(head + text);
  }

  flush(): boolean {
    return this.pendingHead === '' || this.flushHead();
  }

  private flushHead(): boolean {
    const head = this.pendingHead;
    this.pendingHead = '';
    return head === '' || this.transport.write(head);
  }

  /** The response is complete: go on with the next request, or close. */
  responseEnd(trailers?: readonly Field[]): void {
    if (this.encode) {
      this.encode = false;
      this.responseText(lastChunk(trailers));
    }
    this.flushHead();
    this.responseDone = true;
    if (this.state === BODY || this.state === LINGERING) this.finish();
    else if (this.state === RESPONDING) this.next();
  }

  abort(): void {
    this.transport.reset();
  }

  endTunnel(whole = false): void {
    if (whole) this.finish();
    else this.transport.end();
  }

  private next(): void {
    if (this.willClose) {
      this.finish();
      return;
    }
    this.state = HEAD;
    // Whoever did not take the last request's body fast enough does not hold up the next request.
    this.blocked = false;
    this.lastActive = performance.now();
    this.parser.rest();
    if (!this.feeding && (this.held !== undefined || this.transport.paused)) this.release();
    // A request that was released just now is still to be answered.
    if (this.transport.ended && this.idle && this.held === undefined && !this.feeding) this.transport.end();
  }

  /** Sends FIN and reads on for a while: closing with unread bytes would reset the response away. */
  private finish(): void {
    this.state = LINGERING;
    this.held = undefined;
    this.blocked = false;
    this.responseDone = true;
    this.transport.stream(false);
    this.transport.end();
    this.transport.resume();
    if (this.transport.ended) return;
    this.lastActive = performance.now();
    this.wheel.arm(this, LINGER_MS);
  }

  private linger(bytes: number): void {
    this.lingered += bytes;
    if (this.lingered > LINGER_BYTES) this.transport.destroy();
  }

  onDeadline(): void {
    const now = performance.now();
    if (this.state === LINGERING) {
      this.transport.destroy();
      return;
    }
    if (this.state === HEAD && this.headSince > 0) {
      if (now - this.headSince >= this.limits.headMs) {
        this.headSince = 0;
        this.responseDone = false;
        this.refuse(PROBLEMS.headSlow);
        return;
      }
      this.wheel.arm(this, this.headSince + this.limits.headMs - now);
      return;
    }
    const idleFor = this.idle ? now - this.lastActive : 0;
    if (idleFor >= this.limits.idleMs) this.finish();
    else this.wheel.arm(this, this.limits.idleMs - idleFor);
  }

  onEnd(): void {
    if (this.state === TUNNEL) {
      this.handler.onTunnelEnd();
    } else if (this.state === BODY) {
      this.state = LINGERING;
      this.closeAfterResponse = true;
      this.handler.onRequestAborted(PROBLEMS.cutShort);
    } else if (this.state === HEAD || this.state === LINGERING) {
      // A half-sent head has nobody to answer to; a half-closed client with a request waits for its response.
      if (this.held === undefined) this.transport.end();
    } else {
      if (this.held !== undefined) return;
      this.closeAfterResponse = true;
      this.handler.onHalfClosed?.();
    }
  }

  onDrain(): void {
    if (this.state === HEAD && this.held !== undefined) this.release();
    else this.handler.onResponseWritable();
  }

  onClosed(): void {
    this.wheel.disarm(this);
    this.held = undefined;
    this.state = LINGERING;
    this.handler.onDisconnected();
  }
}

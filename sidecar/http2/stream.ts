import type { Field } from '../http/field.ts';
import { UNKNOWN_LENGTH } from '../http/message-head.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import type { Http2Connection } from './connection.ts';
import type { ReceiveWindow } from './flow-window.ts';
import { checkTrailers } from './head-rules.ts';
import { MALFORMED_MESSAGES } from './problems.ts';

/** A stream that moved so much has not stalled. */
const PROGRESS_BYTES = 4096;

/** What both roles share of one stream: its two directions, their windows, and data that waits for a window. */
export abstract class Http2Stream {
  id = 0;
  nextInTable: Http2Stream | undefined = undefined;
  readonly connection: Http2Connection;
  /** Nothing is sent or told any more. */
  closed = false;
  /** The peer has sent END_STREAM. */
  receiveEnded = false;
  /** END_STREAM was sent. */
  sendEnded = false;
  /** What the peer's window takes; below 0 after it made it smaller (RFC 9113 section 6.9.2). */
  sendWindow = 0;
  /** Bytes of data that the head promised and that did not come yet, or UNKNOWN_LENGTH. */
  expected = UNKNOWN_LENGTH;
  /** Its handler gets a flush at the end of this read. */
  touched = false;
  /** Is in the connection's list of those that wait for a window or for the socket. */
  waits = false;
  /** When its data began to wait, or moved last; ms of performance.now(). */
  stalledSince = 0;
  /** Its last frame, which END_STREAM can still be added to while the output's generation is `lastGeneration`. */
  lastFrame = 0;
  lastGeneration = -1;
  /** Bytes that wait for a window, copies. */
  queuedBytes = 0;
  private queue: Buffer[] | undefined = undefined;
  private movedBytes = 0;
  private endWaits = false;
  private waitingTrailers: readonly Field[] | undefined = undefined;
  private toldToWait = false;
  private paused = false;
  private window: ReceiveWindow | undefined = undefined;

  constructor(connection: Http2Connection) {
    this.connection = connection;
  }

  protected abstract onData(bytes: Buffer, start: number, end: number): void;
  protected abstract onEnd(trailers: readonly Field[] | undefined): void;
  protected abstract onWritable(): void;
  /** The peer's message is not what its head said; the stream was reset. */
  protected abstract onMalformed(problem: MessageProblem): void;
  /** Both directions may have ended. */
  protected abstract onSendEnd(): void;
  /** All that came in this read was handed over. */
  abstract onReadEnd(): void;
  /** The peer reset the stream, or it will not go on for another reason of the connection's. */
  abstract onReset(code: number): void;
  /** The connection is gone. */
  abstract onConnectionGone(error: Error | undefined, code: number): void;

  /** Takes a DATA frame of `bytes` off the window. False: it is more than we allowed. */
  takeWindow(bytes: number): boolean {
    this.window ??= this.connection.newReceiveWindow();
    return this.window.take(bytes);
  }

  receiveData(bytes: Buffer, start: number, end: number): void {
    if (this.expected !== UNKNOWN_LENGTH) {
      this.expected -= end - start;
      if (this.expected < 0) {
        this.malformed(MALFORMED_MESSAGES.length);
        return;
      }
    }
    this.onData(bytes, start, end);
  }

  /** What was handed on may be sent again, but not while nobody takes it. */
  giveCredit(): void {
    if (this.paused || this.receiveEnded || this.closed || this.window === undefined) return;
    const bytes = this.window.credit();
    if (bytes > 0) this.connection.sendWindowUpdate(this.id, bytes);
  }

  receiveEnd(trailers: readonly Field[] | undefined): void {
    if (this.expected > 0) {
      this.malformed(MALFORMED_MESSAGES.length);
      return;
    }
    const problem = trailers === undefined ? undefined : checkTrailers(trailers);
    if (problem !== undefined) {
      this.malformed(problem);
      return;
    }
    this.receiveEnded = true;
    this.onEnd(trailers);
  }

  malformed(problem: MessageProblem): void {
    this.connection.resetMalformed(this);
    this.onMalformed(problem);
  }

  protected pause(): void {
    this.paused = true;
  }

  protected resume(): void {
    this.paused = false;
    this.giveCredit();
  }

  protected sendData(bytes: Buffer, start: number, end: number): boolean {
    if (this.closed || this.sendEnded || this.endWaits) return true;
    const at = this.queuedBytes === 0 ? this.connection.sender.writeData(this, bytes, start, end) : start;
    if (at < end) this.enqueue(Buffer.from(bytes.subarray(at, end)));
    return this.mayGoOn();
  }

  /** False: the handler is told when it may go on. */
  protected mayGoOn(): boolean {
    if (this.closed || (this.queuedBytes === 0 && !this.connection.transport.backedUp)) return true;
    this.toldToWait = true;
    this.connection.wait(this);
    return false;
  }

  private enqueue(bytes: Buffer): void {
    if (this.queuedBytes === 0) {
      this.stalledSince = performance.now();
      this.movedBytes = 0;
    }
    this.queuedBytes += bytes.length;
    if (this.queue === undefined) this.queue = [bytes];
    else this.queue.push(bytes);
  }

  /** Sends one frame of what waits, as far as windows allow. Returns its length. */
  sendQueued(): number {
    const first = this.queue?.[0];
    if (first === undefined) return 0;
    const sent = this.connection.sender.writeFrame(this, first, 0, first.length);
    if (sent === 0) return 0;
    if (sent === first.length) this.queue?.shift();
    else if (this.queue !== undefined) this.queue[0] = first.subarray(sent);
    this.queuedBytes -= sent;
    this.movedBytes += sent;
    if (this.movedBytes >= PROGRESS_BYTES) {
      this.movedBytes = 0;
      this.stalledSince = this.connection.now;
    }
    return sent;
  }

  /** Nothing waits any more, and the socket takes more. */
  released(): void {
    if (this.endWaits) {
      this.endWaits = false;
      this.sendEnd(this.waitingTrailers);
    } else if (this.toldToWait) {
      this.toldToWait = false;
      this.onWritable();
    }
  }

  protected sendEnd(trailers: readonly Field[] | undefined): void {
    if (this.closed || this.sendEnded) return;
    if (this.queuedBytes > 0) {
      this.endWaits = true;
      this.waitingTrailers = trailers;
      this.connection.wait(this);
      return;
    }
    this.connection.sender.writeEnd(this, trailers);
    this.sendEnded = true;
    this.onSendEnd();
  }

  /** Forgets what waits. */
  discardQueue(): void {
    this.queue = undefined;
    this.queuedBytes = 0;
    this.endWaits = false;
    this.toldToWait = false;
  }
}

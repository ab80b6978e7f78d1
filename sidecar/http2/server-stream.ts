import type { Downstream, RequestHandler } from '../http/downstream.ts';
import { Field } from '../http/field.ts';
import { HTTP_2, type MessageHead } from '../http/message-head.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import { PackedBytes } from '../http/packed-bytes.ts';
import type { Transport } from '../transport/transport.ts';
import { INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM } from './error-codes.ts';
import type { HeadWriter } from './head-writer.ts';
import { type Http2Head, statusField } from './http2-head.ts';
import type { Http2ServerConnection } from './server-connection.ts';
import { Http2Stream } from './stream.ts';

/** Pieces that are smaller are put together, from the PIECES_A_READth of one read on: each costs its upstream a write. */
const SMALL_PIECE = 512;
const PIECES_A_READ = 4;

/** One request of an HTTP/2 client and its response. */
export class Http2ServerStream extends Http2Stream implements Downstream {
  readonly version = HTTP_2;
  declare readonly connection: Http2ServerConnection;
  /** When it was opened, in ms of performance.now(). */
  readonly openedAt: number;
  readonly head: Http2Head;
  private readonly handler: RequestHandler;
  /** The response has no data, whatever is given: to HEAD, 204 or 304. */
  private bodiless: boolean;
  private tunnelled = false;
  /** The request is malformed: whatever is answered, it is reset. */
  refused = false;
  /** Nobody takes its data: what comes, a window at the most, is kept here. */
  private held = false;
  /** Small pieces of data in this read. */
  private smallPieces = 0;
  private readonly kept = new PackedBytes();
  /** The end came behind what is kept, maybe with trailers. */
  private endKept = false;
  private keptTrailers: readonly Field[] | undefined = undefined;
  /** The tunnel's other end is gone. */
  private tunnelOver = false;

  constructor(connection: Http2ServerConnection, id: number, head: Http2Head, ends: boolean) {
    super(connection);
    this.id = id;
    this.head = head;
    this.receiveEnded = ends;
    this.openedAt = connection.now;
    this.bodiless = head.method === 'HEAD';
    this.expected = head.upgrade === '' ? head.bodyLength : -1;
    // Data before the switch could be taken for another request.
    if (head.upgrade !== '') this.pauseRequest();
    this.handler = connection.accept(this);
  }

  get transport(): Transport {
    return this.connection.transport;
  }

  get reading(): boolean {
    return this.touched && this.connection.reading;
  }

  get readsBody(): boolean {
    return !this.receiveEnded && !this.closed && this.head.upgrade === '';
  }

  /** Hands the request over. */
  start(problem: MessageProblem | undefined): void {
    if (problem !== undefined) {
      this.handler.onRefused(problem);
      return;
    }
    // Extended CONNECT has no body: its data is the tunnel's.
    const whole = this.receiveEnded || this.head.upgrade !== '';
    if (!this.receiveEnded) this.connection.touch(this);
    this.handler.onRequest(this.head);
    if (whole && !this.closed) this.handler.onRequestEnd(undefined);
    if (this.receiveEnded && this.head.upgrade !== '' && !this.closed) this.handler.onTunnelEnd();
  }

  protected onData(bytes: Buffer, start: number, end: number): void {
    if (this.packs(end - start)) this.kept.add(bytes, start, end);
    else this.handler.onRequestData(bytes, start, end);
  }

  private packs(length: number): boolean {
    if (this.held) return true;
    if (length < SMALL_PIECE) return ++this.smallPieces > PIECES_A_READ;
    this.handKept();
    return this.held;
  }

  protected onEnd(trailers: readonly Field[] | undefined): void {
    this.handKept();
    if (this.held) {
      this.endKept = true;
      this.keptTrailers = trailers;
    } else if (!this.closed) {
      this.handEnd(trailers);
    }
    if (this.sendEnded) this.connection.streamEnded(this);
  }

  private handEnd(trailers: readonly Field[] | undefined): void {
    if (this.head.upgrade === '') this.handler.onRequestEnd(trailers);
    else this.handler.onTunnelEnd();
  }

  onReadEnd(): void {
    this.smallPieces = 0;
    this.handKept();
    if (!this.receiveEnded && !this.closed) this.handler.onRequestFlush();
  }

  protected onWritable(): void {
    this.handler.onResponseWritable();
  }

  protected onMalformed(problem: MessageProblem): void {
    this.handler.onRequestAborted(problem);
  }

  onReset(): void {
    this.handler.onDisconnected();
  }

  onConnectionGone(): void {
    this.handler.onDisconnected();
  }

  protected onSendEnd(): void {
    if (this.receiveEnded) this.connection.streamEnded(this);
    // The client need not send the rest of its request (RFC 9113 section 8.1); a tunnel's other half goes on.
    else if (!this.tunnelled || this.tunnelOver) this.connection.resetStream(this, NO_ERROR);
  }

  pauseRequest(): void {
    this.held = true;
    this.pause();
  }

  resumeRequest(): void {
    if (!this.held || (this.head.upgrade !== '' && !this.tunnelled)) return;
    this.held = false;
    const kept = this.kept.length > 0;
    this.handKept();
    if (this.held || this.closed) return;
    if (this.endKept) {
      this.endKept = false;
      this.handEnd(this.keptTrailers);
      return;
    }
    if (kept) this.handler.onRequestFlush();
    this.resume();
  }

  private handKept(): void {
    while (this.kept.length > 0 && !this.held && !this.closed) {
      const piece = this.kept.shift();
      if (piece !== undefined) this.handler.onRequestData(piece, 0, piece.length);
    }
  }

  override discardQueue(): void {
    super.discardQueue();
    this.kept.clear();
  }

  informational(head: MessageHead): void {
    if (this.closed || this.sendEnded) return;
    const writer = this.beginHead(head.status);
    writer.kept(head);
    this.connection.sender.endHead(this, false);
    // It must not end the stream.
    this.lastGeneration = -1;
  }

  respond(head: MessageHead, added: string): void {
    if (this.closed || this.sendEnded) return;
    const { status } = head;
    // RFC 8441 section 5: the switch of protocols is a 200 here.
    const switches = status === 101 && this.head.upgrade !== '';
    if (status === 204 || status === 304) this.bodiless = true;
    // And the proof of the handshake is none in HTTP/2, which has no key (RFC 8441 section 5).
    if (switches) head.remove('sec-websocket-accept');
    const writer = this.beginHead(switches ? 200 : status);
    writer.kept(head);
    writer.lines(added);
    this.connection.sender.endHead(this, false);
  }

  respondLocally(status: number, fields: string, body: string): void {
    if (this.closed || this.sendEnded) return;
    if (this.refused) {
      this.connection.resetMalformed(this);
      return;
    }
    const bytes = Buffer.from(body, 'latin1');
    const writer = this.beginHead(status);
    writer.lines(fields);
    if (status !== 204) writer.field(new Field('content-length', String(bytes.length)));
    this.connection.sender.endHead(this, false);
    this.responseData(undefined, bytes, 0, bytes.length);
    this.responseEnd(undefined);
  }

  private beginHead(status: number): HeadWriter {
    const { writer } = this.connection.sender;
    writer.begin();
    writer.field(statusField(status));
    return writer;
  }

  responseData(_source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    return this.bodiless || this.sendData(bytes, start, end);
  }

  /** Nothing is held back: what was written leaves with this turn of the event loop. */
  flush(): boolean {
    return this.mayGoOn();
  }

  responseEnd(trailers: readonly Field[] | undefined): void {
    this.sendEnd(this.bodiless ? undefined : trailers);
  }

  abort(refused = false): void {
    this.connection.resetStream(this, refused ? REFUSED_STREAM : INTERNAL_ERROR);
  }

  tunnel(): void {
    this.tunnelled = true;
    this.resumeRequest();
  }

  endTunnel(whole = false): void {
    this.tunnelOver = whole;
    if (this.sendEnded) this.onSendEnd();
    else this.sendEnd(undefined);
  }
}

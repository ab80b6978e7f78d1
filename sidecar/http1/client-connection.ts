import type { Field } from '../http/field.ts';
import { type Limits, MAX_INTERIM_HEADS } from '../http/limits.ts';
import { HTTP_11 } from '../http/message-head.ts';
import { asUpstreamProblem, type MessageProblem } from '../http/message-problem.ts';
import type { OutgoingRequest, ResponseHandler, Upstream } from '../http/upstream.ts';
import type { Transport, TransportReader } from '../transport/transport.ts';
import { ChunkedReader, MALFORMED, NEED_MORE } from './chunked.ts';
import { CHUNKED, type Head, LENGTH, NO_BODY, UNTIL_CLOSE } from './head.ts';
import { FAILED, HeadParser, INCOMPLETE } from './head-parser.ts';
import { lastChunk } from './last-chunk.ts';
import { PROBLEMS } from './problems.ts';
import { needsChunks, requestText } from './request-text.ts';

/** Told when the connection can serve again, or never will. */
export interface ConnectionOwner {
  onReusable(connection: ClientConnection): void;
  onGone(connection: ClientConnection, error: Error | undefined): void;
  /** The rest of a response is read for nobody: `connection.endDiscard` is to be called if that takes long. */
  onDiscarding(connection: ClientConnection): void;
}

/** A rest of a response that is worth reading to keep its connection. */
const DISCARD_BYTES = 64 * 1024;

const IDLE = 0;
const HEAD = 1;
const BODY = 2;
const TUNNEL = 3;
const GONE = 4;

/** One upstream HTTP/1.1 connection. Anything doubtful about a response's framing destroys it. */
export class ClientConnection implements Upstream, TransportReader {
  readonly version = HTTP_11;
  transport: Transport;
  /** Requests sent on it, the current one included. */
  requests = 0;
  /** When it became idle, in ms of performance.now(). */
  idleSince = 0;
  /** The server's own idle limit by its Keep-Alive header, in ms, or -1. */
  keepAliveMs = -1;
  /** A byte of the current response was seen. */
  answered = false;
  private readonly owner: ConnectionOwner;
  private readonly parser: HeadParser;
  private readonly limits: Limits;
  private state = IDLE;
  private handler: ResponseHandler | undefined = undefined;
  private answersHead = false;
  private upgrading = false;
  private requestDone = true;
  private interimHeads = 0;
  private reusable = true;
  private remaining = 0;
  private framing = NO_BODY;
  private chunked: ChunkedReader | undefined = undefined;
  private pendingHead = '';
  /** The request's data is put into chunks here. */
  private encode = false;
  private decode = false;
  private readonly passData = (bytes: Buffer, start: number, end: number): void => {
    this.handler?.onResponseData(bytes, start, end);
  };

  constructor(owner: ConnectionOwner, limits: Limits) {
    this.owner = owner;
    this.limits = limits;
    this.parser = new HeadParser('response', limits);
    this.transport = undefined as unknown as Transport; // the maker sets it before any use
  }

  send(request: OutgoingRequest, handler: ResponseHandler): void {
    const { method, upgrade, decode } = request;
    this.sendText(requestText(request), handler, method, upgrade !== '', decode);
    this.encode = needsChunks(request);
  }

  /**
   * Starts a request; `text` is its whole head. The head is sent with the first bytes of the body, or by `flush`.
   * `decode`: hand on the data of a chunked response without its chunk headers.
   */
  sendText(
    text: string,
    handler: ResponseHandler,
    method: string,
    upgrading: boolean,
    decode: boolean,
  ): void {
    this.state = HEAD;
    this.handler = handler;
    this.answersHead = method === 'HEAD';
    this.upgrading = upgrading;
    this.decode = decode;
    this.requestDone = false;
    this.answered = false;
    this.reusable = true;
    this.interimHeads = 0;
    this.requests++;
    this.encode = false;
    this.pendingHead = text;
  }

  requestData(source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    if (!this.encode) return this.write(source, bytes, start, end);
    // An empty chunk would end the body.
    return start === end || this.writeChunk(source, bytes, start, end);
  }

  private writeChunk(source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    const { socket } = this.transport;
    socket.cork();
    this.pendingHead += `${(end - start).toString(16)}\r\n`;
    this.write(source, bytes, start, end);
    const ready = this.transport.write('\r\n');
    socket.uncork();
    return ready;
  }

  private write(source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    const head = this.pendingHead;
    if (head === '') return this.transport.forward(source, bytes, start, end);
    this.pendingHead = '';
    return this.transport.writeJoined(head, bytes, start, end);
  }

  requestEnd(trailers?: readonly Field[]): void {
    if (this.encode) this.pendingHead += lastChunk(trailers);
    this.flush();
    this.requestDone = true;
  }

  flush(): void {
    const head = this.pendingHead;
    if (head === '') return;
    this.pendingHead = '';
    this.transport.write(head);
  }

  pauseResponse(): void {
    this.transport.pause();
  }

  resumeResponse(): void {
    this.transport.resume();
  }

  halfClose(): void {
    this.reusable = false;
    if (this.requestDone) this.transport.end();
  }

  endTunnel(): void {
    this.transport.end();
  }

  /**
   * The exchange is over before its time: nothing of this connection can be used again. A FIN alone would be that
   * of a client that has sent all and waits for its response.
   */
  abandon(): void {
    const waited = this.state === HEAD || this.state === BODY;
    this.handler = undefined;
    this.state = GONE;
    if (waited) this.transport.reset();
    else this.transport.destroy();
  }

  onBytes(bytes: Buffer, start: number, end: number): void {
    if (this.state === IDLE) {
      // A response that nobody asked for: whoever reused this connection would get it.
      this.abandon();
      return;
    }
    this.answered = true;
    let position = start;
    while (position < end && this.state !== GONE) {
      if (this.state === HEAD) position = this.readHead(bytes, position, end);
      else if (this.state === BODY) position = this.readBody(bytes, position, end);
      else if (this.state === TUNNEL) {
        this.handler?.onResponseData(bytes, position, end);
        position = end;
      } else return;
      if (position < 0) break;
    }
    this.handler?.onResponseFlush();
  }

  private readHead(bytes: Buffer, start: number, end: number): number {
    const stop = this.parser.parse(bytes, start, end, this.answersHead);
    if (stop === INCOMPLETE) return -1;
    if (stop === FAILED) {
      this.failed(asUpstreamProblem(this.parser.problem ?? PROBLEMS.statusLine), undefined);
      return -1;
    }
    const { head } = this.parser;
    if (head.status === 101) return this.switchProtocol(head, stop);
    if (head.status < 200) {
      if (++this.interimHeads > MAX_INTERIM_HEADS) {
        this.failed(asUpstreamProblem(PROBLEMS.interimMany), undefined);
        return -1;
      }
      this.handler?.onInformational(head);
      return stop;
    }
    this.begin(head, stop < end);
    return stop;
  }

  private switchProtocol(head: Head, stop: number): number {
    if (!this.upgrading) {
      this.failed(PROBLEMS.upgrade, undefined);
      return -1;
    }
    this.reusable = false;
    this.state = TUNNEL;
    this.transport.stream(true);
    this.handler?.onResponse(head);
    return stop;
  }

  private begin(head: Head, more: boolean): void {
    if (head.close || (head.minor === 0 && !head.keepAlive)) this.reusable = false;
    if (head.keepAliveMs >= 0) this.keepAliveMs = head.keepAliveMs;
    this.framing = head.framing;
    if (head.framing === CHUNKED) {
      this.chunked ??= new ChunkedReader(this.limits);
      this.chunked.reset(!this.decode);
    } else if (head.framing === LENGTH) {
      this.remaining = head.length;
    } else if (head.framing === UNTIL_CLOSE) {
      this.reusable = false;
    }
    const empty = head.framing === NO_BODY || (head.framing === LENGTH && head.length === 0);
    this.state = BODY;
    this.handler?.onResponse(head);
    // onResponse may have given this connection up.
    if (empty && this.state === BODY) this.complete(more);
    else if (this.state === BODY) this.transport.stream(true);
  }

  private readBody(bytes: Buffer, start: number, end: number): number {
    if (this.framing === CHUNKED) return this.readChunked(bytes, start, end);
    if (this.framing === UNTIL_CLOSE) {
      this.handler?.onResponseData(bytes, start, end);
      return end;
    }
    const stop = Math.min(end, start + this.remaining);
    this.remaining -= stop - start;
    this.handler?.onResponseData(bytes, start, stop);
    if (this.remaining === 0 && this.state === BODY) this.complete(stop < end);
    return stop;
  }

  private readChunked(bytes: Buffer, start: number, end: number): number {
    const chunked = this.chunked as ChunkedReader; // begin() made it for this body
    const stop = chunked.feed(bytes, start, end, this.passData);
    if (this.state !== BODY) return -1;
    if (stop === NEED_MORE) return end;
    if (stop === MALFORMED) {
      this.failed(asUpstreamProblem(chunked.problem ?? PROBLEMS.chunk), undefined);
      return -1;
    }
    this.complete(stop < end);
    return stop;
  }

  /** `more`: bytes follow the response, so its framing is in doubt (RFC 9112 section 6.3). */
  private complete(more: boolean): void {
    this.state = IDLE;
    this.transport.stream(false);
    const handler = this.handler;
    this.handler = undefined;
    // A request that is still being sent leaves this connection's other half in doubt.
    const reusable = this.reusable && this.requestDone && !more && !this.transport.ended;
    // A flow that was stopped for a slow client must not leave a stopped connection in the pool.
    this.transport.resume();
    // Its owner may give it the next request at once: nothing of this one is read after that.
    const trailers = this.trailers();
    this.parser.rest();
    if (reusable) this.owner.onReusable(this);
    else this.abandon();
    handler?.onResponseEnd(trailers);
  }

  /** Those of a body whose chunk headers were taken off here; else they came with it. */
  private trailers(): readonly Field[] | undefined {
    return this.framing === CHUNKED && this.decode ? this.chunked?.trailerFields : undefined;
  }

  /** Reads the rest of a small response for nobody, so that the connection can be used again. */
  discard(): void {
    const small = this.framing === NO_BODY || (this.framing === LENGTH && this.remaining <= DISCARD_BYTES);
    if (!small) this.abandon();
    else if (this.framing === LENGTH && this.remaining > 0) this.owner.onDiscarding(this);
    this.handler = undefined;
  }

  /** Gives up to read a rest for nobody, if it is still that of request number `request`. */
  endDiscard(request: number): void {
    if (this.state === BODY && this.handler === undefined && this.requests === request) this.abandon();
  }

  private failed(problem: MessageProblem | undefined, error: Error | undefined): void {
    const handler = this.handler;
    this.abandon();
    handler?.onResponseFailed({ problem, error, refused: false, resetCode: -1 });
  }

  onEnd(): void {
    if (this.state === TUNNEL) {
      this.handler?.onUpstreamTunnelEnd();
    } else if (this.state === BODY && this.framing === UNTIL_CLOSE) {
      this.complete(false);
    } else if (this.state === IDLE) {
      this.abandon();
    } else {
      this.failed(undefined, undefined);
    }
  }

  onDrain(): void {
    this.handler?.onRequestWritable();
  }

  onClosed(error: Error | undefined): void {
    const handler = this.handler;
    this.handler = undefined;
    this.state = GONE;
    this.owner.onGone(this, error);
    handler?.onResponseFailed({ problem: undefined, error, refused: false, resetCode: -1 });
  }
}

import { Field, fieldsOf } from '../http/field.ts';
import { MAX_INTERIM_HEADS } from '../http/limits.ts';
import { HTTP_2, UNKNOWN_LENGTH } from '../http/message-head.ts';
import { asUpstreamProblem, type MessageProblem } from '../http/message-problem.ts';
import type { OutgoingRequest, ResponseHandler, Upstream } from '../http/upstream.ts';
import type { Transport } from '../transport/transport.ts';
import type { Http2ClientConnection } from './client-connection.ts';
import { CANCEL, NO_CODE, PROTOCOL_ERROR, REFUSED_STREAM } from './error-codes.ts';
import { readResponseHead } from './head-rules.ts';
import type { HpackVerdict } from './hpack/decoder.ts';
import { Http2Head } from './http2-head.ts';
import { MALFORMED_MESSAGES, REFUSALS, UPGRADE_REFUSED } from './problems.ts';
import { Http2Stream } from './stream.ts';

const HTTP = new Field(':scheme', 'http');
const HTTPS = new Field(':scheme', 'https');
const CONNECT = new Field(':method', 'CONNECT');
const NO_FIELDS: readonly Field[] = [];

/** One request to an HTTP/2 server and its response. */
export class Http2ClientStream extends Http2Stream implements Upstream {
  readonly version = HTTP_2;
  declare readonly connection: Http2ClientConnection;
  requests = 0;
  answered = false;
  private handler: ResponseHandler | undefined = undefined;
  private answersHead = false;
  /** Extended CONNECT was sent. */
  private upgrading = false;
  /** The final head came, and ended the response. */
  private headed = false;
  private headEnds = false;
  private tunnelled = false;
  private interimHeads = 0;
  /** Monotonic, 0 before. */
  sentMs = 0;

  get transport(): Transport {
    return this.connection.transport;
  }

  send(request: OutgoingRequest, handler: ResponseHandler): void {
    this.handler = handler;
    this.answersHead = request.method === 'HEAD';
    this.upgrading = request.upgrade !== '';
    if (this.upgrading) this.connection.whenReady(() => this.sendUpgrade(request));
    else this.sendHead(request);
  }

  /** Only a server that has said so understands an extended CONNECT: to others it is malformed. */
  private sendUpgrade(request: OutgoingRequest): void {
    if (this.closed) return;
    const { connection } = this;
    if (connection.allowsConnectProtocol || !connection.ready) {
      this.sendHead(request);
      return;
    }
    connection.giveBack(this);
    this.failed(UPGRADE_REFUSED, undefined, false, NO_CODE);
  }

  private sendHead(request: OutgoingRequest): void {
    if (!this.connection.place(this)) return;
    const added = request.fields === '' ? NO_FIELDS : fieldsOf(request.fields);
    this.writePseudo(request, added);
    const { writer } = this.connection.sender;
    writer.kept(request.head);
    writer.added(added);
    this.connection.sender.endHead(this, false);
  }

  private writePseudo(request: OutgoingRequest, added: readonly Field[]): void {
    const { head, target, upgrade } = request;
    const { connection } = this;
    const { writer } = connection.sender;
    writer.begin();
    if (upgrade === '') {
      writer.field(pseudoField(request, ':method', request.method));
    } else {
      writer.field(CONNECT);
      writer.field(pseudoField(request, ':protocol', upgrade));
    }
    writer.field(connection.encrypted ? HTTPS : HTTP);
    let authority = head.authority;
    for (const field of added) if (field.name === 'host') authority = field.value;
    if (authority !== '') writer.field(pseudoField(request, ':authority', authority));
    writer.field(pseudoField(request, ':path', target));
  }

  /** A head came. */
  receiveHeaders(ends: boolean, fields: Field[], verdict: HpackVerdict): void {
    this.answered = true;
    if (this.headed) {
      if (ends && verdict === 'ok') this.receiveEnd(fields);
      else this.malformed(MALFORMED_MESSAGES.trailers);
      return;
    }
    const head = new Http2Head(fields);
    const problem = verdict === 'ok' ? readResponseHead(head, ends, this.answersHead) : refusalOf(verdict);
    if (problem !== undefined) this.malformed(problem);
    else if (head.status < 200) this.receiveInterimHead(head);
    else this.receiveFinalHead(head, ends);
  }

  private receiveInterimHead(head: Http2Head): void {
    if (++this.interimHeads > MAX_INTERIM_HEADS) this.malformed(MALFORMED_MESSAGES.interimMany);
    else this.handler?.onInformational(head);
  }

  private receiveFinalHead(head: Http2Head, ends: boolean): void {
    this.headed = true;
    this.headEnds = ends;
    this.tunnelled = this.upgrading && head.status < 300;
    this.expected = this.tunnelled ? UNKNOWN_LENGTH : head.bodyLength;
    if (!ends) this.connection.touch(this);
    this.handler?.onResponse(head);
    if (ends && !this.closed) {
      this.expected = 0;
      this.receiveEnd(undefined);
    }
  }

  protected onData(bytes: Buffer, start: number, end: number): void {
    this.answered = true;
    if (this.headed) this.handler?.onResponseData(bytes, start, end);
    else this.malformed(MALFORMED_MESSAGES.interim);
  }

  protected onEnd(trailers: readonly Field[] | undefined): void {
    if (!this.headed) {
      this.malformed(MALFORMED_MESSAGES.interim);
      return;
    }
    const { handler } = this;
    if (this.tunnelled) {
      if (this.sendEnded) this.connection.streamEnded(this);
      handler?.onUpstreamTunnelEnd();
      return;
    }
    this.handler = undefined;
    // Nobody has a use for the rest of the request.
    if (this.sendEnded) this.connection.streamEnded(this);
    else this.connection.resetStream(this, CANCEL);
    handler?.onResponseEnd(trailers);
  }

  onReadEnd(): void {
    if (!this.receiveEnded) this.handler?.onResponseFlush();
  }

  protected onWritable(): void {
    this.handler?.onRequestWritable();
  }

  protected onMalformed(problem: MessageProblem): void {
    this.failed(asUpstreamProblem(problem), undefined, false, PROTOCOL_ERROR);
  }

  protected onSendEnd(): void {
    if (this.receiveEnded) this.connection.streamEnded(this);
  }

  onReset(code: number): void {
    this.failed(undefined, undefined, code === REFUSED_STREAM, code);
  }

  onConnectionGone(error: Error | undefined, code: number): void {
    this.failed(undefined, error, false, code);
  }

  /** The server says that it has not begun this request (RFC 9113 section 8.7). */
  refused(code: number): void {
    this.failed(undefined, undefined, true, code);
  }

  private failed(
    problem: MessageProblem | undefined,
    error: Error | undefined,
    refused: boolean,
    resetCode: number,
  ): void {
    const { handler } = this;
    this.handler = undefined;
    handler?.onResponseFailed({ problem, error, refused, resetCode });
  }

  requestData(_source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    return this.sendData(bytes, start, end);
  }

  requestEnd(trailers: readonly Field[] | undefined): void {
    // What follows the head of an extended CONNECT is its tunnel.
    if (!this.upgrading) this.sendEnd(trailers);
  }

  /** Nothing is held back: what was written leaves with this turn of the event loop. */
  flush(): void {}

  abandon(): void {
    this.handler = undefined;
    if (this.id === 0) {
      this.connection.giveBack(this);
      return;
    }
    this.connection.resetStream(this, CANCEL);
    this.connection.doubt(this.sentMs);
  }

  discard(): void {
    if (!this.headEnds || !this.sendEnded) {
      this.abandon();
      return;
    }
    this.handler = undefined;
    this.connection.streamEnded(this);
  }

  pauseResponse(): void {
    this.pause();
  }

  resumeResponse(): void {
    this.resume();
  }

  /** The end of the request has said so. */
  halfClose(): void {}

  endTunnel(): void {
    this.sendEnd(undefined);
  }

  /** The connection failed before the request could be sent. */
  failUnsent(error: Error): void {
    this.closed = true;
    this.failed(undefined, error, false, NO_CODE);
  }
}

/** The field that came with the head, if it is what goes out: HPACK knows it already. */
function pseudoField({ head }: OutgoingRequest, name: string, value: string): Field {
  const came = head instanceof Http2Head ? head.pseudoField(name, value) : undefined;
  return came ?? new Field(name, value);
}

function refusalOf(verdict: HpackVerdict): MessageProblem {
  return verdict === 'list-too-large' ? REFUSALS.headLong : REFUSALS.headersMany;
}

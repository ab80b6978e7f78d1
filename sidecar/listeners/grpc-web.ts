import type { Exchange } from '../exchange.ts';
import { isGrpc } from '../exchange.ts';
import type { Downstream } from '../http/downstream.ts';
import { type Field, linesOf } from '../http/field.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { Transport } from '../transport/transport.ts';
import { LengthPrefixedMessages } from './length-prefixed-messages.ts';

/** Marks the frame that holds the trailers (PROTOCOL-WEB.md). */
const TRAILERS_FRAME = 0x80;

/** What a request says of gRPC-Web by its content type; undefined when it is none. */
export interface GrpcWeb {
  /** All is in base64 (`application/grpc-web-text`). */
  readonly text: boolean;
  /** `+proto`, or ''. */
  readonly suffix: string;
}

export function grpcWebOf(head: MessageHead): GrpcWeb | undefined {
  const match = /^application\/grpc-web(-text)?(\+[\w.-]+)?\s*(?:;|$)/i.exec(head.get('content-type') ?? '');
  return match === null ? undefined : { text: match[1] !== undefined, suffix: match[2] ?? '' };
}

/**
 * Answers a gRPC-Web call out of a gRPC response: what gRPC puts into trailers comes as the last frame of the body. A
 * response that is no gRPC passes as it is.
 */
export class GrpcWebDownstream implements Downstream {
  private readonly inner: Downstream;
  private readonly kind: GrpcWeb;
  private readonly messages = new LengthPrefixedMessages();
  private translates = true;

  constructor(inner: Downstream, kind: GrpcWeb) {
    this.inner = inner;
    this.kind = kind;
  }

  get transport(): Transport {
    return this.inner.transport;
  }

  get version(): number {
    return this.inner.version;
  }

  get reading(): boolean {
    return this.inner.reading;
  }

  get readsBody(): boolean {
    return this.inner.readsBody;
  }

  pauseRequest(): void {
    this.inner.pauseRequest();
  }

  resumeRequest(): void {
    this.inner.resumeRequest();
  }

  informational(head: MessageHead): void {
    this.inner.informational(head);
  }

  respond(head: MessageHead, added: string): void {
    this.translates = isGrpc(head);
    if (!this.translates) {
      this.inner.respond(head, added);
      return;
    }
    head.remove('content-type');
    head.remove('content-length');
    this.inner.respond(head, added + this.typeLine());
  }

  private typeLine(): string {
    const { text, suffix } = this.kind;
    return `content-type: application/grpc-web${text ? '-text' : ''}${suffix}\r\n`;
  }

  respondLocally(status: number, fields: string, body: string): void {
    this.inner.respondLocally(status, fields.replace(/^content-type: [^\r]*\r\n/, this.typeLine()), body);
  }

  responseData(source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean {
    if (!this.translates) return this.inner.responseData(source, bytes, start, end);
    this.messages.follow(bytes, start, end);
    if (!this.kind.text) return this.inner.responseData(source, bytes, start, end);
    // Pieces of base64, each with its padding, may stand one after the other.
    const encoded = Buffer.from(bytes.toString('base64', start, end), 'latin1');
    return this.inner.responseData(undefined, encoded, 0, encoded.length);
  }

  flush(): boolean {
    return this.inner.flush();
  }

  responseEnd(trailers: readonly Field[] | undefined): void {
    if (!this.translates) {
      this.inner.responseEnd(trailers);
      return;
    }
    if (!this.messages.between) {
      // A frame now would be taken for the rest of the message.
      this.inner.abort();
      return;
    }
    if (trailers !== undefined && trailers.length > 0) {
      const frame = trailersFrame(trailers);
      this.responseData(undefined, frame, 0, frame.length);
    }
    this.inner.responseEnd(undefined);
  }

  abort(refused?: boolean): void {
    this.inner.abort(refused);
  }

  tunnel(): void {
    this.inner.tunnel();
  }

  endTunnel(whole?: boolean): void {
    this.inner.endTunnel(whole);
  }
}

function trailersFrame(trailers: readonly Field[]): Buffer {
  const lines = linesOf(trailers);
  const frame = Buffer.alloc(5 + lines.length);
  frame[0] = TRAILERS_FRAME;
  frame.writeUInt32BE(lines.length, 1);
  frame.write(lines, 5, 'latin1');
  return frame;
}

/** Takes base64 that comes in pieces of any length apart, with padding in the middle too. */
export class Base64Decoder {
  private rest = '';

  /** The bytes of all whole groups of four that came so far. */
  decode(bytes: Buffer, start: number, end: number): Buffer {
    const text = this.rest + bytes.toString('latin1', start, end);
    const whole = text.length - (text.length % 4);
    this.rest = text.slice(whole);
    const pieces = text.slice(0, whole).match(/[^=]+={0,2}/g) ?? [];
    return Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64')));
  }
}

/** Browsers call gRPC services in a form of their own (PROTOCOL-WEB.md). Returns where to answer one that does. */
export function translateGrpcWeb(
  connection: Downstream,
  exchange: Exchange,
  body: { decodeBase64(): void },
): Downstream | undefined {
  const { head } = exchange;
  const kind = grpcWebOf(head);
  if (kind === undefined) return undefined;
  exchange.grpc = true;
  head.remove('content-type');
  if (kind.text) {
    head.remove('content-length');
    body.decodeBase64();
  }
  exchange.requestFields += `content-type: application/grpc${kind.suffix}\r\nte: trailers\r\n`;
  return new GrpcWebDownstream(connection, kind);
}

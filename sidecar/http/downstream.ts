import type { Transport } from '../transport/transport.ts';
import type { Field } from './field.ts';
import type { MessageHead } from './message-head.ts';
import type { MessageProblem } from './message-problem.ts';

/**
 * The caller's side of one request: an HTTP/1.1 connection's current request, or one HTTP/2 stream.
 * Who answers calls `respond`, `data` and `end` in this order, or `respondLocally` alone, or `abort`.
 */
export interface Downstream {
  /** What the connection reads from: the source of ranges handed to `onRequestData`. */
  readonly transport: Transport;
  /** HTTP_10, HTTP_11 or HTTP_2: how the response is written. */
  readonly version: number;
  /** Bytes of this client are being handed over right now: `onRequestFlush` follows. */
  readonly reading: boolean;
  /** More of the request's body is to come. */
  readonly readsBody: boolean;
  /** Stops reading the request's body: the upstream does not take it fast enough. */
  pauseRequest(): void;
  resumeRequest(): void;
  /** A 1xx head but 101. Left out where the client knows none (HTTP/1.0). */
  informational(head: MessageHead): void;
  /** The final head, sent with the first bytes of the body, at the latest by `flush`. `added`: whole header lines. */
  respond(head: MessageHead, added: string): void;
  /** A whole response that Tulle makes. `fields`: whole header lines, content-length left out. */
  respondLocally(status: number, fields: string, body: string): void;
  /** Bytes of the body, or of a tunnel. False: wait for `onResponseWritable`. */
  responseData(source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean;
  /** False: wait for `onResponseWritable`. */
  flush(): boolean;
  responseEnd(trailers: readonly Field[] | undefined): void;
  /**
   * Cuts the response short so that the client cannot take it for a whole one. `refused`: HTTP/2 tells the client
   * that the request has surely not run (RFC 9113 section 8.7); nothing of a response was given before.
   */
  abort(refused?: boolean): void;
  /** From now on bytes of both directions are a tunnel's: a 101 or, to an extended CONNECT, a 200 was given to `respond`. */
  tunnel(): void;
  /** Ends this direction of the tunnel. `whole`: nobody takes what the client sends any more, either. */
  endTunnel(whole?: boolean): void;
}

/** What a downstream tells of a request. Nothing is called after `onDisconnected`, nor after the response and the request have ended. */
export interface RequestHandler {
  /** A whole head came. */
  onRequest(head: MessageHead): void;
  /** The range is valid until the call returns. HTTP/1.1 hands on chunked bodies with their chunk headers. */
  onRequestData(bytes: Buffer, start: number, end: number): void;
  onRequestEnd(trailers: readonly Field[] | undefined): void;
  /** All that came in this read was handed over. */
  onRequestFlush(): void;
  /** A head was refused by the engine: answer it. */
  onRefused(problem: MessageProblem): void;
  /** The request cannot be finished: it is malformed, or ended before its time. */
  onRequestAborted(problem: MessageProblem): void;
  /** The client takes more bytes again. */
  onResponseWritable(): void;
  /** HTTP/1.1: the client has ended its direction while its response is still to come. */
  onHalfClosed?(): void;
  /** In a tunnel: the client ended its direction. */
  onTunnelEnd(): void;
  /** The client is gone, or (HTTP/2) reset the stream. */
  onDisconnected(): void;
}

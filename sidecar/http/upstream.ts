import type { Transport } from '../transport/transport.ts';
import type { Field } from './field.ts';
import type { MessageHead } from './message-head.ts';
import type { MessageProblem } from './message-problem.ts';

/** A request as it goes out: a head that came, with what policies changed. */
export interface OutgoingRequest {
  readonly head: MessageHead;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Whole header lines to add, each with its CRLF; a `host` line among them is the authority. */
  readonly fields: string;
  /** The protocol to switch to (`websocket`), or ''. */
  readonly upgrade: string;
  /** The response's data is wanted without the chunk headers of HTTP/1.1. */
  readonly decode: boolean;
}

/** The server's side of one request: a pooled HTTP/1.1 connection while it serves it, or one HTTP/2 stream. */
export interface Upstream {
  readonly transport: Transport;
  /** HTTP_11 or HTTP_2. */
  readonly version: number;
  /** Requests sent on its connection so far, this one included. */
  readonly requests: number;
  /** A byte (HTTP/2: a frame) of the current response was seen. */
  readonly answered: boolean;
  /** Starts the request. The head goes out with the first bytes of the body, or by `requestEnd` or `flush`. */
  send(request: OutgoingRequest, handler: ResponseHandler): void;
  /** False: wait for `onRequestWritable`. */
  requestData(source: Transport | undefined, bytes: Buffer, start: number, end: number): boolean;
  requestEnd(trailers: readonly Field[] | undefined): void;
  flush(): void;
  /** Nobody wants the response any more: HTTP/1.1 closes the connection, HTTP/2 resets the stream (CANCEL). No handler is called again. */
  abandon(): void;
  /** As `abandon`, but a small rest of a response may be read to keep the connection. */
  discard(): void;
  /** Stops and goes on reading the response: the client does not take it fast enough. */
  pauseResponse(): void;
  resumeResponse(): void;
  /** The client has ended its direction: the server is told so, as it would be without a proxy, and does what it does then. */
  halfClose(): void;
  /** Ends this direction of a tunnel. */
  endTunnel(): void;
}

/** Why a response did not come, or not whole. */
export interface UpstreamFailure {
  /** The response is malformed, or the upstream cannot be asked for what is wanted. */
  readonly problem: MessageProblem | undefined;
  /** The socket's error, if it was that. */
  readonly error: Error | undefined;
  /** The upstream has certainly not begun the request (REFUSED_STREAM, or GOAWAY; RFC 9113 section 8.7). */
  readonly refused: boolean;
  /** The error code of RST_STREAM or GOAWAY, or -1. */
  readonly resetCode: number;
}

/** What an upstream tells of the response to its current request. */
export interface ResponseHandler {
  /** 1xx but 101: more heads follow. */
  onInformational(head: MessageHead): void;
  /** The final head. */
  onResponse(head: MessageHead): void;
  /** The range is valid until the call returns. */
  onResponseData(bytes: Buffer, start: number, end: number): void;
  onResponseEnd(trailers: readonly Field[] | undefined): void;
  /** All that came in this read was handed over. */
  onResponseFlush(): void;
  /** The exchange failed. Called at most once, never after `onResponseEnd`. */
  onResponseFailed(failure: UpstreamFailure): void;
  /** The upstream takes more bytes again. */
  onRequestWritable(): void;
  /** In a tunnel: the upstream ended its direction. */
  onUpstreamTunnelEnd(): void;
}

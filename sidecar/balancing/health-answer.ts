import type { Field } from '../http/field.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { ResponseHandler, UpstreamFailure } from '../http/upstream.ts';

/** Who answers a probe with more has answered, and the rest is not read. */
const MAX_BYTES = 64 * 1024;
/** What is kept of it: a HealthCheckResponse has two bytes. */
const KEPT_BYTES = 1024;

/** What is judged of the response to a probe. */
export interface HealthAnswer {
  readonly status: number;
  /** A Tulle on the way, or at its end, made the response. */
  readonly reason: string | undefined;
  readonly grpcStatus: string | undefined;
  readonly grpcMessage: string | undefined;
  /** The first bytes of the body. */
  readonly body: Buffer;
  readonly bodyBytes: number;
}

export interface HealthAnswerReader {
  /** `whole`: the response was read to its end. */
  onAnswer(answer: HealthAnswer, whole: boolean): void;
  /** `begun`: its head had come. */
  onAnswerFailed(failure: UpstreamFailure, begun: boolean): void;
}

/** Gathers the response to one probe. */
export class HealthAnswerHandler implements ResponseHandler {
  private readonly reader: HealthAnswerReader;
  private status = 0;
  private reason: string | undefined = undefined;
  private grpcStatus: string | undefined = undefined;
  private grpcMessage: string | undefined = undefined;
  private body: Buffer = Buffer.alloc(0);
  private bodyBytes = 0;

  constructor(reader: HealthAnswerReader) {
    this.reader = reader;
  }

  onResponse(head: MessageHead): void {
    this.status = head.status;
    this.reason = head.get('tulle-reason');
    // A gRPC response without messages has its status here.
    this.grpcStatus = head.get('grpc-status');
    this.grpcMessage = head.get('grpc-message');
  }

  onResponseData(bytes: Buffer, start: number, end: number): void {
    this.bodyBytes += end - start;
    const kept = Math.min(end, start + KEPT_BYTES - this.body.length);
    if (kept > start) this.body = Buffer.concat([this.body, bytes.subarray(start, kept)]);
    if (this.bodyBytes > MAX_BYTES) this.tell(false);
  }

  onResponseEnd(trailers: readonly Field[] | undefined): void {
    for (const { name, value } of trailers ?? []) {
      if (name === 'grpc-status') this.grpcStatus = value;
      if (name === 'grpc-message') this.grpcMessage = value;
    }
    this.tell(true);
  }

  private tell(whole: boolean): void {
    const { status, reason, grpcStatus, grpcMessage, body, bodyBytes } = this;
    this.reader.onAnswer({ status, reason, grpcStatus, grpcMessage, body, bodyBytes }, whole);
  }

  onResponseFailed(failure: UpstreamFailure): void {
    this.reader.onAnswerFailed(failure, this.status !== 0);
  }

  onInformational(): void {}
  onResponseFlush(): void {}
  onRequestWritable(): void {}
  onUpstreamTunnelEnd(): void {}
}

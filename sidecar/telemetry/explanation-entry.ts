import type { Exchange } from '../exchange.ts';
import { detached } from './detached.ts';
import type { Attempt, Explanation, PolicyNote } from './explanation.ts';

const NO_ATTEMPTS: readonly Attempt[] = [];
const NO_POLICIES: readonly PolicyNote[] = [];
const MAX_PATH = 512;
const MAX_HOST = 255;
const MAX_METHOD = 32;
const MAX_DETAIL = 1024;
/** More attempts or notes than these are counted by nobody. */
const MAX_PARTS = 16;
/** A head so small may stay in memory for as long as an entry does. */
const SMALL_HEAD = 512;

/** One place of a ring, written over again and again: what an explanation is made from when somebody asks. */
export class ExplanationEntry {
  id = '';
  service = '';
  startMs = 0;
  durationMs = 0;
  private listener = '';
  private peer = '';
  private peerAddress = '';
  private method = '';
  private host = '';
  private path = '';
  private route = '';
  private routeWhy = '';
  /** The only attempt; most requests have one, and it needs no array. */
  private attempt: Attempt | undefined = undefined;
  private attempts: readonly Attempt[] = NO_ATTEMPTS;
  private policies: readonly PolicyNote[] = NO_POLICIES;
  private status = 0;
  private grpcStatus = -1;
  private reason = '';
  private detail = '';
  private requestBytes = 0;
  private responseBytes = 0;
  private mtls = false;

  /** Takes over what an exchange holds. Allocates nothing for a request of one attempt with a small head. */
  fill(exchange: Exchange, durationMs: number): void {
    const { attempts, policies } = exchange;
    // Parts of a message are slices of its head, which they would keep alive.
    const whole = exchange.head.heldBytes > SMALL_HEAD;
    this.id = whole ? detached(exchange.id) : exchange.id;
    this.method = clipped(exchange.method, MAX_METHOD, whole);
    this.host = clipped(exchange.host, MAX_HOST, whole);
    this.path = clipped(exchange.path, MAX_PATH, whole);
    this.startMs = exchange.startMs;
    this.durationMs = durationMs;
    this.listener = exchange.listener;
    this.peer = exchange.peer;
    this.peerAddress = exchange.peerAddress;
    this.route = exchange.route;
    this.routeWhy = exchange.routeWhy;
    this.service = exchange.service;
    this.attempt = attempts.length === 1 ? attempts[0] : undefined;
    this.attempts = attempts.length > 1 ? attempts.slice(0, MAX_PARTS) : NO_ATTEMPTS;
    this.policies = policies.length === 0 ? NO_POLICIES : policies.slice(0, MAX_PARTS).map(keptNote);
    this.status = exchange.status;
    this.grpcStatus = exchange.grpcStatus;
    this.reason = exchange.reason;
    this.detail = exchange.detail === '' ? '' : clipped(exchange.detail, MAX_DETAIL, true);
    this.requestBytes = exchange.requestBytes;
    this.responseBytes = exchange.responseBytes;
    this.mtls = exchange.mtls;
  }

  /** A copy that stays as it is when this place is written over. */
  explanation(): Explanation {
    const { attempt, attempts, startMs } = this;
    return {
      id: this.id,
      at: performance.timeOrigin + startMs,
      listener: this.listener,
      peer: this.peer,
      peerAddress: this.peerAddress,
      method: this.method,
      host: this.host,
      path: this.path,
      route: this.route,
      routeWhy: this.routeWhy,
      service: this.service,
      attempts: attempt === undefined ? attempts : [attempt],
      policies: this.policies,
      status: this.status,
      ...(this.grpcStatus >= 0 && { grpcStatus: this.grpcStatus }),
      reason: this.reason,
      detail: this.detail,
      durationMs: this.durationMs,
      requestBytes: this.requestBytes,
      responseBytes: this.responseBytes,
      mtls: this.mtls,
    };
  }
}

function clipped(text: string, max: number, detach: boolean): string {
  if (text.length > max) return detached(`${text.slice(0, max - 3)}...`);
  return detach ? detached(text) : text;
}

function keptNote({ policy, decision, detail }: PolicyNote): PolicyNote {
  return { policy, decision, detail: clipped(detail, MAX_DETAIL, true) };
}

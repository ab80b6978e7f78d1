import type { Exchange, Withheld } from '../exchange.ts';
import type { MessageHead } from '../http/message-head.ts';
import { joined, type RequestMarks, UNMARKED } from './request-marks.ts';

/**
 * On a failure, from callee to caller: it was retried below, or a budget refused to, so whoever gets it does not try
 * again. The value says why.
 */
export const NO_RETRY_FIELD = 'tulle-no-retry';

/**
 * On a failure, from callee to caller: its application could not be connected to, so the request has surely not run. The
 * value is the reason code.
 */
export const NOT_RUN_FIELD = 'tulle-not-run';

/** Whether callers would only multiply what was retried, or refused to be: a retry of theirs is not wanted. */
function givesUp(by: Withheld): boolean {
  return by === 'exhausted' || by === 'budget' || by === 'callee';
}

/** So many requests are remembered by their ids; the oldest make room. */
const MOST = 4096;

/**
 * What one proxy knows of both its sides: the requests that its application serves, and those that it makes
 * meanwhile. They belong together by their request id where the application hands it on, else by time.
 */
export class RetryChain {
  /**
   * Of requests that the application serves, what they say of their way: several may have one id. Those that say nothing are
   * known only where the application makes calls.
   */
  private readonly served = new Map<string, RequestMarks[]>();
  private calls = false;
  /** When calls of the application were given up, by an id that it had handed on. */
  private readonly givenUp = new Map<string, number>();
  /** When the last one was given up that had no id, or none of a request that is served: applications make up their own. */
  private lastMs = Number.NEGATIVE_INFINITY;

  /** The application gets a request. */
  begin({ id }: Exchange, marks: RequestMarks): void {
    if (marks === UNMARKED && !this.calls) return;
    const same = this.served.get(id);
    if (same !== undefined) {
      same.push(marks);
      return;
    }
    makeRoom(this.served);
    this.served.set(id, [marks]);
  }

  /** It was answered. */
  end({ id }: Exchange, marks: RequestMarks): void {
    const same = this.served.get(id);
    const index = same?.indexOf(marks) ?? -1;
    if (index < 0) return;
    same?.splice(index, 1);
    if (same?.length === 0) this.served.delete(id);
  }

  /** What holds for a call of the application: what it says itself, and what the request says that it serves by it. */
  marksOf({ id, head }: Exchange, own: RequestMarks): RequestMarks {
    this.calls = true;
    const served = head.requestId === id ? this.served.get(id) : undefined;
    return served === undefined || served.every((marks) => marks === UNMARKED)
      ? own
      : joined(own, loosest(served));
  }

  /** A call of the application fails, and is not made again: where one more retry above would only multiply it, its caller is told. */
  onNoRetry(exchange: Exchange, nowMs: number): void {
    const { withheld } = exchange;
    if (withheld === '' || !givesUp(withheld)) return;
    this.giveUp(exchange, nowMs);
    if (withheld !== 'callee') exchange.responseFields += `${NO_RETRY_FIELD}: ${withheld}\r\n`;
  }

  /** No connection to the application here: the caller in the mesh may try elsewhere, be it a POST. Not so if an attempt before may have run. */
  onConnectFailed(exchange: Exchange, code: string): void {
    if (exchange.listener === 'inbound' && exchange.mtls && exchange.attempts.length === 1)
      exchange.responseFields += `${NOT_RUN_FIELD}: ${code}\r\n`;
  }

  /** A failure is passed on. Strangers are told nothing of retries; a caller in the mesh is, of those made for it below. */
  onFailure(exchange: Exchange, head: MessageHead): void {
    const { listener, grpc, mtls } = exchange;
    if (listener === 'gateway') head.remove(NO_RETRY_FIELD);
    // An application cannot say so of itself: it has the request.
    head.remove(NOT_RUN_FIELD);
    if (listener === 'inbound' && mtls && (grpc || head.status >= 500) && this.gaveUpFor(exchange))
      exchange.responseFields += `${NO_RETRY_FIELD}: below\r\n`;
  }

  /** A call of the application failed after retries, or because there were to be none. */
  giveUp({ id, head }: Exchange, nowMs: number): void {
    if (head.requestId !== id || !this.served.has(id)) {
      this.lastMs = nowMs;
      return;
    }
    this.givenUp.delete(id);
    makeRoom(this.givenUp);
    this.givenUp.set(id, nowMs);
  }

  /**
   * Whether a call was given up for a request that the application serves. Where the application hands on no id of it, any
   * call that was given up meanwhile counts: a retry too few is better than one that multiplies.
   */
  gaveUpFor({ id, startMs }: Exchange): boolean {
    return this.lastMs >= startMs || (this.givenUp.get(id) ?? Number.NEGATIVE_INFINITY) >= startMs;
  }
}

/** For which of them a call is made nobody knows: none is cut short by the deadline of another. */
function loosest(marks: readonly RequestMarks[]): RequestMarks {
  return {
    attempt: Math.max(...marks.map(({ attempt }) => attempt)),
    deadlineMs: Math.max(...marks.map(({ deadlineMs }) => deadlineMs)),
  };
}

function makeRoom(map: Map<string, unknown>): void {
  if (map.size < MOST) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

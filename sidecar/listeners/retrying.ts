import type { Exchange, Withheld } from '../exchange.ts';
import { type AttemptFailure, hasNotRun, hinderedBy, retryCondition } from '../filters/retry.ts';
import type { MessageHead } from '../http/message-head.ts';
import { type Plan, retryBudgetOf } from '../routing/plan.ts';
import { backoffMs, fullJitterMs } from './backoff.ts';
import { askedPauseMs, LONGEST_PAUSE_MS, NEVER } from './retry-after.ts';
import { NO_RETRY_FIELD, NOT_RUN_FIELD } from './retry-chain.ts';

/** An attempt failed: is there to be another? */
export interface RetryQuestion {
  readonly exchange: Exchange;
  readonly plan: Plan;
  readonly failure: AttemptFailure;
  /** The response that failed, if there was one. */
  readonly head: MessageHead | undefined;
  /** It came from a mesh peer, whose word about retries counts. */
  readonly fromMesh: boolean;
  /** Number of the next retry, from 1. */
  readonly retry: number;
  /** All of the body that was sent is still here. */
  readonly replayable: boolean;
  /** The client has sent all of its body. */
  readonly cameWhole: boolean;
  /** The client has ended its direction: a server that now closes does what it would do without a proxy. */
  readonly halfClosed: boolean;
  /** This request is a retry of its caller already. */
  readonly callerRetries: boolean;
  readonly deadlineMs: number;
  readonly nowMs: number;
  /** There is an endpoint that was not tried. */
  readonly elsewhere: boolean;
}

/** Another attempt, `pauseMs` from now. */
export interface Retry {
  readonly condition: string;
  readonly pauseMs: number;
}

/** None, and why. */
export interface NoRetry {
  readonly by: Withheld;
  /** '' where there is nothing to explain. */
  readonly words: string;
}

/** Takes one retry out of the budget if there is to be one; nothing is taken for one that is not made. */
export function decideRetry(asked: RetryQuestion): Retry | NoRetry {
  const question = hasNotRunThere(asked)
    ? { ...asked, failure: { ...asked.failure, kind: 'not-run' as const } }
    : asked;
  const { plan, exchange, failure, retry, nowMs } = question;
  const { attempts } = plan.settings.retries;
  const callee = calleeSays(question);
  if (callee !== undefined) return callee;
  if (attempts === 0) return { by: 'policy', words: '' };
  // Who answered half a body may have begun with it, and is not asked again with the rest.
  const replayable = question.replayable && (question.cameWhole || failure.kind !== 'status');
  const condition = retryCondition(plan.settings, failure, exchange.method, replayable);
  if (condition === undefined) return notNamed(question);
  if (retry > attempts)
    return { by: 'exhausted', words: `on ${condition}: all retries were made (${attempts})` };
  const hindrance = hindered(question, condition);
  if (hindrance !== undefined) return hindrance;
  const askedMs = question.head === undefined ? 0 : askedPauseMs(question.head, exchange.grpc);
  const pauseMs = askedMs + pauseBefore(question);
  const tooLong = outlasts(question, condition, askedMs, pauseMs);
  if (tooLong !== undefined) return tooLong;
  if (!retryBudgetOf(plan, exchange.service).tryRetry(nowMs)) {
    return { by: 'budget', words: `the retry budget of ${exchange.service} is used up` };
  }
  return { condition, pauseMs };
}

/** A mesh peer says that its application was not there. */
function hasNotRunThere({ head, fromMesh }: RetryQuestion): boolean {
  return fromMesh && head?.get(NOT_RUN_FIELD) !== undefined;
}

/** A mesh peer's word counts even where this hop would not have retried: it is handed on. */
function calleeSays({ head, fromMesh }: RetryQuestion): NoRetry | undefined {
  const why = fromMesh ? head?.get(NO_RETRY_FIELD) : undefined;
  if (why === undefined) return undefined;
  return {
    by: 'callee',
    words: `the callee says that it was retried below already (${NO_RETRY_FIELD}: ${why})`,
  };
}

function notNamed({ plan, exchange, failure }: RetryQuestion): NoRetry {
  const { method } = exchange;
  const hindrance = hinderedBy(plan.settings, failure, method);
  if (hindrance === undefined) {
    // What is a caller's own fault nobody expects to be tried again.
    if (failure.kind === 'status' && failure.status < 500 && !exchange.grpc)
      return { by: 'policy', words: '' };
    const conditions = plan.settings.retries.on.join(',') || 'nothing';
    return { by: 'policy', words: `${whatFailed(failure)} is not retried by the policy (on ${conditions})` };
  }
  const { condition, by } = hindrance;
  const words =
    by === 'method'
      ? `on ${condition}: a ${method} may have run, and the policy does not say that it may run twice`
      : `on ${condition}: the body was more than can be sent again, or has not ended`;
  return { by, words };
}

function whatFailed({ kind, status, grpc }: AttemptFailure): string {
  if (kind !== 'status' && kind !== 'not-run') return kind;
  return grpc === undefined ? String(status) : String(grpc);
}

function hindered(question: RetryQuestion, condition: string): NoRetry | undefined {
  const { failure } = question;
  // What has not run costs nothing below: to make it again here multiplies nothing.
  if (hasNotRun(failure)) return undefined;
  if (question.halfClosed)
    return { by: 'client', words: `on ${condition}: the client has ended its direction of the connection` };
  if (question.callerRetries && !failure.stale)
    return { by: 'caller', words: `on ${condition}: this request is a retry of its caller already` };
  return undefined;
}

/** What has surely not run is tried elsewhere at once; the rest waits. */
function pauseBefore({ plan, failure, retry, elsewhere }: RetryQuestion): number {
  if (plan.backoffMs !== undefined) return backoffMs(plan.backoffMs, retry);
  const isThere = failure.kind !== 'connect' && failure.kind !== 'not-run';
  const atOnce = isThere ? hasNotRun(failure) || failure.stale : elsewhere;
  if (retry === 1 && atOnce) return 0;
  return fullJitterMs(plan.settings.retries.backoff, retry);
}

function outlasts(
  { deadlineMs, nowMs }: RetryQuestion,
  condition: string,
  askedMs: number,
  pauseMs: number,
): NoRetry | undefined {
  if (askedMs === NEVER) return { by: 'asked', words: `on ${condition}: the server wants no other attempt` };
  if (askedMs > LONGEST_PAUSE_MS)
    return {
      by: 'asked',
      words: `on ${condition}: the server asks to wait ${askedMs} ms, longer than ${LONGEST_PAUSE_MS} ms`,
    };
  if (nowMs + pauseMs < deadlineMs) return undefined;
  const words = `on ${condition}: to wait ${Math.round(pauseMs)} ms is longer than is left of the request's time`;
  return { by: 'deadline', words };
}

/** Tells that no other attempt is made. */
export function noteNoRetry(exchange: Exchange, { by, words }: NoRetry): void {
  if (words === '') return;
  exchange.withheld = by;
  if (by === 'budget') exchange.note('retry-budget', 'refused', words);
  else exchange.note('retries', 'not retried', words);
}

/** Tells of retry number `retry` of `attempts`. */
export function noteRetry(
  exchange: Exchange,
  condition: string,
  retry: number,
  attempts: number,
  pauseMs: number,
): void {
  exchange.note('retries', 'retried', `on ${condition}: retry ${retry} of ${attempts}`);
  if (pauseMs > 0) exchange.note('retries', 'waits', `${pauseMs.toFixed(1)} ms before retry ${retry}`);
}

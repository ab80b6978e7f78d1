import type { Cluster } from '../balancing/cluster.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { AttemptFailure } from '../filters/retry.ts';
import type { Field } from '../http/field.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { OutgoingRequest, ResponseHandler, Upstream, UpstreamFailure } from '../http/upstream.ts';
import { type Plan, retryBudgetOf } from '../routing/plan.ts';
import type { Attempt } from '../telemetry/explanation.ts';
import type { ConnectFailure } from '../upstream/connect-attempt.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ConnectionWaiter } from '../upstream/pool-use.ts';
import { beginAttempt, brokenOff, resetAnswer, untriedOf, waitedMs } from './attempts.ts';
import { leavesChunks, type RequestBody } from './request-body.ts';

/** The request that is hedged. It hears of the response as of its own once the hedge has brought it. */
export interface Hedged extends ResponseHandler, OutgoingRequest {
  readonly exchange: Exchange;
  readonly body: RequestBody;
  /** HTTP version of the upstream. */
  readonly version: number;
  /** Its first attempt is under way, and no head came. */
  readonly waitsForHead: boolean;
  /** Its time is over. */
  readonly isLate: boolean;
  /** An endpoint that was not tried, where there is one. */
  pickNext(cluster: Cluster): Endpoint | undefined;
  /** Header lines of `attempt` there. */
  fieldsFor(endpoint: Endpoint, attempt: Attempt): string;
  /** A head came from the hedge; `hedge.take()` makes its response that of the request. */
  onHedgeHead(hedge: Hedge, head: MessageHead): void;
  onHedgeFailed(hedge: Hedge, failure: AttemptFailure, retryable: boolean, answer: LocalAnswer): void;
}

const WAITS = 0;
const CONNECTING = 1;
const SENT = 2;
/** Its response is the request's. */
const TAKEN = 3;
const OVER = 4;

/** A second attempt that joins one of which no head came yet (J. Dean, L. Barroso, "The Tail at Scale", 2013). */
export class Hedge implements ConnectionWaiter, ResponseHandler {
  endpoint: Endpoint | undefined = undefined;
  upstream: Upstream | undefined = undefined;
  attempt: Attempt | undefined = undefined;
  startMs = 0;
  private state = WAITS;
  private readonly request: Hedged;
  private readonly plan: Plan;
  private readonly cluster: Cluster;
  private readonly timer: NodeJS.Timeout;

  /** `afterMs`: how long a head is waited for. */
  constructor(request: Hedged, plan: Plan, cluster: Cluster, afterMs: number) {
    this.request = request;
    this.plan = plan;
    this.cluster = cluster;
    this.timer = setTimeout(() => this.due(), Math.max(1, afterMs));
  }

  /** It is on its way. */
  get runs(): boolean {
    return this.state === CONNECTING || this.state === SENT;
  }

  /** No head came in time. */
  private due(): void {
    const { request, plan, cluster } = this;
    const { exchange } = request;
    if (this.state !== WAITS || !request.waitsForHead) return;
    const nowMs = performance.now();
    const after = `no answer after ${(nowMs - exchange.startMs).toFixed(1)} ms`;
    const hindrance = this.hindrance();
    const endpoint = hindrance === undefined ? request.pickNext(cluster) : undefined;
    if (endpoint === undefined) {
      exchange.note('hedge', 'not sent', `${after}, but ${hindrance ?? 'there is no other endpoint'}`);
    } else if (!retryBudgetOf(plan, cluster.service).tryRetry(nowMs)) {
      exchange.hedge = 'refused';
      exchange.note('hedge', 'refused', `the retry budget of ${cluster.service} is used up`);
    } else {
      exchange.hedge = 'lost';
      exchange.note('hedge', 'sent', after);
      this.start(endpoint, nowMs);
    }
  }

  private hindrance(): string | undefined {
    const { body, exchange, head, isLate } = this.request;
    if (isLate) return 'the time of the request is over';
    if (!body.ended && head.bodyLength !== 0) return 'the body has not ended';
    if (!body.replayable) return 'the body is more than can be sent again';
    return untriedOf(this.cluster, exchange) === undefined ? 'there is no other endpoint' : undefined;
  }

  private start(endpoint: Endpoint, nowMs: number): void {
    const { request, cluster } = this;
    this.endpoint = endpoint;
    this.startMs = nowMs;
    this.attempt = beginAttempt(request.exchange, cluster, endpoint, nowMs);
    this.attempt.hedge = true;
    this.state = CONNECTING;
    const upstream = endpoint.acquire(this, request.version);
    if (upstream !== undefined) this.sendOn(upstream, endpoint);
  }

  onConnection(upstream: Upstream): void {
    if (this.state === CONNECTING && this.endpoint !== undefined) this.sendOn(upstream, this.endpoint);
    else upstream.abandon();
  }

  private sendOn(upstream: Upstream, endpoint: Endpoint): void {
    const { request, attempt } = this;
    const { body, head, method, target, upgrade, decode } = request;
    this.state = SENT;
    this.upstream = upstream;
    const fields = request.fieldsFor(endpoint, attempt as Attempt); // start() set it
    upstream.send({ head, method, target, upgrade, decode, fields }, this);
    // It may have failed at once.
    if (this.upstream === upstream) body.sendTo(upstream, leavesChunks(head, upstream));
    if (this.upstream === upstream) body.endTo(upstream);
    if (attempt !== undefined) attempt.connectionReused = upstream.requests > 1;
  }

  onConnectFailed({ code, detail }: ConnectFailure): void {
    if (this.state !== CONNECTING) return;
    if (this.attempt !== undefined) this.attempt.connectionReused = false;
    const retryable = code !== 'pool-full';
    this.finish(code, retryable);
    const failure = { kind: 'connect', status: 0, stale: false } as const;
    this.request.onHedgeFailed(this, failure, retryable, { status: 503, code, detail });
  }

  /** From now on its response is the request's own. */
  take(): void {
    this.state = TAKEN;
  }

  /** It lost, took too long, or the request is over. */
  cancel(result = 'cancelled', failed = false): void {
    clearTimeout(this.timer);
    if (!this.runs) {
      if (this.state === WAITS) this.state = OVER;
      return;
    }
    if (this.state === CONNECTING) this.endpoint?.cancel(this);
    this.upstream?.abandon();
    this.finish(result, failed);
  }

  /** A head came that is not wanted. */
  drop(result: string, fault: boolean): void {
    this.upstream?.discard();
    this.finish(result, fault);
  }

  private finish(result: string, failed: boolean): void {
    this.state = OVER;
    const { attempt, cluster, endpoint, startMs } = this;
    this.upstream = undefined;
    if (attempt === undefined || endpoint === undefined) return;
    const nowMs = performance.now();
    attempt.durationMs = nowMs - startMs;
    attempt.result = result;
    const latencyMs = waitedMs(endpoint, attempt, failed);
    const ejected = cluster.finished(endpoint, nowMs, latencyMs, failed, result, startMs);
    if (ejected !== undefined) this.request.exchange.note('circuit-breaker', 'ejected', ejected);
    // What was cancelled would have taken longer still.
    if (!failed) cluster.latencies?.observe(nowMs, latencyMs);
  }

  onInformational(head: MessageHead): void {
    if (this.state === TAKEN) this.request.onInformational(head);
  }

  onResponse(head: MessageHead): void {
    if (this.state === SENT) this.request.onHedgeHead(this, head);
  }

  onResponseData(bytes: Buffer, start: number, end: number): void {
    if (this.state === TAKEN) this.request.onResponseData(bytes, start, end);
  }

  onResponseEnd(trailers: readonly Field[] | undefined): void {
    if (this.state === TAKEN) this.request.onResponseEnd(trailers);
  }

  onResponseFlush(): void {
    if (this.state === TAKEN) this.request.onResponseFlush();
  }

  onResponseFailed(failure: UpstreamFailure): void {
    const { upstream } = this;
    if (this.state === TAKEN) this.request.onResponseFailed(failure);
    if (this.state !== SENT || upstream === undefined) return;
    const answer = failure.problem ?? resetAnswer(failure, upstream);
    const { what, fault } = brokenOff(failure, upstream);
    this.finish(answer.code, fault);
    this.request.onHedgeFailed(this, what, failure.problem === undefined, answer);
  }

  /** Its whole body was sent at once. */
  onRequestWritable(): void {}

  onUpstreamTunnelEnd(): void {}
}

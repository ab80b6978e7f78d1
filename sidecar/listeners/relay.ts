import { isFault } from '../balancing/attempt-verdict.ts';
import type { Cluster } from '../balancing/cluster.ts';
import { LatencyWindow } from '../balancing/latency-window.ts';
import { Exchange, isGrpc, type ListenerKind, type LocalAnswer } from '../exchange.ts';
import { LATER } from '../filters/filter.ts';
import { type AttemptFailure, mayRepeat, mayRunTwice } from '../filters/retry.ts';
import type { Downstream, RequestHandler } from '../http/downstream.ts';
import type { Field } from '../http/field.ts';
import type { Limits } from '../http/limits.ts';
import { HTTP_2, HTTP_11, type MessageHead } from '../http/message-head.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import type { OutgoingRequest, Upstream, UpstreamFailure } from '../http/upstream.ts';
import type { Protection } from '../http2/flood-guard.ts';
import { isAnswer, isPending, type Pending, type Plan, retryBudgetOf } from '../routing/plan.ts';
import type { Attempt } from '../telemetry/explanation.ts';
import { pause as wheelPause } from '../transport/pause.ts';
import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { ConnectFailure } from '../upstream/connect-attempt.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ConnectionWaiter } from '../upstream/pool-use.ts';
import {
  beginAttempt,
  brokenOff,
  fullPoolOf,
  pickUntried,
  resetAnswer,
  untriedOf,
  waitedMs,
} from './attempts.ts';
import { pause } from './backoff.ts';
import {
  expired,
  grpcAskedMs,
  idledOut,
  NO_DEADLINE,
  ROUNDED_MS,
  timedOut,
  tryTimedOut,
} from './deadlines.ts';
import { grpcStatusOf, readGrpcStatus } from './grpc-status.ts';
import { translateGrpcWeb } from './grpc-web.ts';
import { Hedge, type Hedged } from './hedge.ts';
import { grpcTrailers, localResponse, noteClientClosed } from './local-response.ts';
import type { Mirroring, RequestCopy } from './mirroring.ts';
import { type Overload, overloaded } from './overload.ts';
import { leavesChunks, RequestBody } from './request-body.ts';
import { newRequestId, takeRequestId } from './request-id.ts';
import {
  attemptFields,
  EDGE_LINE,
  type RequestMarks,
  takeEdge,
  takeMarks,
  UNMARKED,
} from './request-marks.ts';
import {
  failureOf,
  faultCause,
  isServerFailure,
  RETRIED_FIELD,
  resultOf,
  retriedFields,
  saysTooLate,
} from './response-failure.ts';
import type { RetryChain } from './retry-chain.ts';
import { decideRetry, noteNoRetry, noteRetry, type Retry } from './retrying.ts';
import { upstreamVersion } from './upstream-version.ts';
import { WebSocketDrain } from './websocket-drain.ts';

/** What a listener gives to the relays of its connections. */
export interface RelayHost {
  readonly kind: ListenerKind;
  readonly wheel: TimerWheel;
  readonly limits: Limits;
  readonly overload: Overload;
  readonly mirroring: Mirroring;
  /** Shared by all listeners of this proxy. */
  readonly retryChain: RetryChain;
  /** Tunnels that are open, to be told when this proxy goes. */
  readonly tunnels: Set<{ drainTunnel(): void }>;
  /** Whether callers are told the words of a reason, or as strangers its code only. */
  readonly tellsAll: boolean;
  /** A request id that a caller sent is kept. */
  readonly trustsRequestId: boolean;
  /** Routes a request: its plan, an answer, or a wait for configuration. */
  plan(exchange: Exchange): Plan | Pending | LocalAnswer;
  /** Header lines for the upstream that this kind of listener adds, each with its CRLF. */
  addedFields(exchange: Exchange): string;
  /** A protection of HTTP/2 acted against `peer`, an IP address. */
  onProtected(protection: Protection, peer: string): void;
  /** The exchange is over; what it holds is valid until this returns. */
  record(exchange: Exchange, plan: Plan | undefined, nowMs: number): void;
}

/** Nothing in progress. */
const IDLE = 0;
/** Waits for configuration or for a filter. */
const HELD = 1;
const CONNECTING = 2;
/** The request is with the upstream, no final head came yet. */
const SENT = 3;
/** The response's head is written. */
const RESPONDING = 4;
const TUNNEL = 5;
/** The first attempt failed, its hedge is under way. */
const HEDGED = 6;

/** What an attempt is to its endpoint whose caller left too little time. */
const TOO_LATE = 'deadline-exceeded';

/** A tunnel was opened by 101, or by 200 in answer to an extended CONNECT. */
const SWITCHING = 101;

/**
 * Carries one request at a time from its downstream to an upstream: route, filters, endpoint, attempts,
 * response, record. An HTTP/1.1 connection has one for all its requests, HTTP/2 one a stream. It is called by
 * events and never waits.
 */
export class Relay implements RequestHandler, Hedged, ConnectionWaiter, OutgoingRequest, Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  readonly exchange: Exchange;
  // The request as it goes out: every attempt sends the same.
  head: MessageHead;
  method = '';
  target = '';
  fields = '';
  upgrade = '';
  decode = false;
  private readonly host: RelayHost;
  private readonly connection: Downstream;
  /** The connection, or what translates for it. */
  private downstream: Downstream;
  readonly body: RequestBody;
  private phase = IDLE;
  private plan: Plan | undefined = undefined;
  private cluster: Cluster | undefined = undefined;
  private endpoint: Endpoint | undefined = undefined;
  private upstream: Upstream | undefined = undefined;
  private cancelWait: (() => void) | undefined = undefined;
  private nextFilter = 0;
  /** HTTP version of the upstream. */
  version = HTTP_11;
  private retriesLeft = 0;
  private attemptStartMs = 0;
  private attempt: Attempt | undefined = undefined;
  private hedge: Hedge | undefined = undefined;
  private latencyMs = 0;
  /** Of a failed response: by what code the Tulle that made it explained it. */
  private toldReason: string | undefined = undefined;
  /** The response is gRPC: its status may follow its messages. */
  private answersGrpc = false;
  private marks: RequestMarks = UNMARKED;
  /** The caller is told the words of a reason, or its code only. */
  private tellsAll: boolean;
  /** Header lines that every attempt sends. */
  private sharedFields = '';
  private deadlineMs = NO_DEADLINE;
  /** The deadline is that of the policy, not of the caller. */
  private byPolicy = false;
  private tryDeadlineMs = NO_DEADLINE;
  /** How long nothing may move, 0: for ever; and when something did. */
  private idleMs = 0;
  private movedMs = 0;
  private halfClosed = false;
  private clientHeld = false;
  /** The request is copied for mirrors, as far as it came. */
  private copy: RequestCopy | undefined = undefined;
  private webSocket: WebSocketDrain | undefined = undefined;

  constructor(host: RelayHost, downstream: Downstream, head: MessageHead) {
    this.host = host;
    this.tellsAll = host.tellsAll;
    this.connection = downstream;
    this.downstream = downstream;
    this.head = head;
    this.exchange = new Exchange(host.kind, head);
    this.body = new RequestBody(host.limits);
  }

  // --- the request comes ---

  onRequest(head: MessageHead): void {
    const { exchange } = this;
    exchange.begin(head, performance.now());
    this.head = head;
    this.body.begin();
    this.plan = undefined;
    this.halfClosed = false;
    takeRequestId(exchange, head, this.host.trustsRequestId);
    this.takeMarks();
    if (this.host.kind === 'gateway')
      this.downstream = translateGrpcWeb(this.connection, exchange, this.body) ?? this.connection;
    const waitedMs = this.host.overload.excess(exchange.startMs);
    if (waitedMs > 0) this.answer(overloaded('request', waitedMs));
    else this.route();
  }

  private takeMarks(): void {
    const { exchange, host } = this;
    const believed = host.kind === 'outbound' || (host.kind === 'inbound' && exchange.mtls);
    const own = takeMarks(exchange, believed);
    this.tellsAll = host.tellsAll && !(host.kind === 'inbound' && takeEdge(exchange));
    this.marks = host.kind === 'outbound' ? host.retryChain.marksOf(exchange, own) : own;
    if (host.kind === 'inbound') host.retryChain.begin(exchange, this.marks);
  }

  private route(): void {
    const planned = this.host.plan(this.exchange);
    if (isPending(planned)) {
      this.holdUntil(planned, () => this.route());
      return;
    }
    if (isAnswer(planned)) {
      this.answer(planned);
      return;
    }
    this.plan = planned;
    const { exchange } = this;
    exchange.route = planned.route;
    exchange.routeWhy = planned.why;
    exchange.service = planned.service;
    this.setDeadlines(planned);
    if (planned.chain.onRequest.length > 0) this.runFilters(0);
    else this.chooseBackend(planned);
  }

  /** Time that passed already counts. */
  private setDeadlines({ timeoutMs, settings }: Plan): void {
    const { exchange, marks } = this;
    const policyMs = timeoutMs > 0 ? exchange.startMs + timeoutMs : NO_DEADLINE;
    const grpcMs = exchange.grpc ? exchange.startMs + grpcAskedMs(exchange.head) : NO_DEADLINE;
    this.deadlineMs = Math.min(policyMs, marks.deadlineMs, grpcMs);
    this.byPolicy = policyMs <= this.deadlineMs;
    this.tryDeadlineMs = NO_DEADLINE;
    this.idleMs = settings.idleTimeoutMs ?? 0;
    this.movedMs = exchange.startMs;
    this.armNearest(this.nowMs);
  }

  /** Before the first attempt: a request that was not held back came just now. */
  private get nowMs(): number {
    return this.phase === HELD ? performance.now() : this.exchange.startMs;
  }

  /** The time that a request has is over. Its deadline is met a little later. */
  get isLate(): boolean {
    return this.deadlineMs !== NO_DEADLINE && performance.now() >= this.deadlineMs;
  }

  /** The server's sidecar has the same deadline, and may be the first to cut a response that has begun. */
  private isOver(nowMs: number): boolean {
    return nowMs >= this.deadlineMs - ROUNDED_MS;
  }

  /** Of the deadlines, the nearest is armed. */
  private armNearest(nowMs: number): void {
    const idleUntilMs = this.idleMs > 0 ? this.movedMs + this.idleMs : NO_DEADLINE;
    const until = Math.min(this.deadlineMs, this.tryDeadlineMs, idleUntilMs);
    if (until !== NO_DEADLINE) this.host.wheel.arm(this, Math.max(1, until - nowMs));
    else if (this.wheelSlot >= 0) this.host.wheel.disarm(this);
  }

  private holdUntil(pending: Pending, proceed: () => void): void {
    this.phase = HELD;
    this.holdClient();
    this.cancelWait = pending.wait(() => {
      this.cancelWait = undefined;
      proceed();
    });
  }

  private runFilters(from: number): void {
    const plan = this.plan as Plan; // route() set it
    const filters = plan.chain.onRequest;
    for (let index = from; index < filters.length; index++) {
      const verdict = filters[index]?.onRequest(this.exchange, this);
      if (verdict === undefined) continue;
      if (verdict !== LATER) {
        this.answer(verdict);
        return;
      }
      this.phase = HELD;
      this.nextFilter = index + 1;
      this.holdClient();
      if (this.exchange.holdMs > 0) this.delay();
      return;
    }
    this.chooseBackend(plan);
  }

  /** Its deadlines go on meanwhile, and it ends with its client. */
  private delay(): void {
    const { exchange, host } = this;
    const { holdMs } = exchange;
    exchange.holdMs = 0;
    this.cancelWait = wheelPause(host.wheel, holdMs, () => {
      this.cancelWait = undefined;
      this.resume();
    });
  }

  /** A filter that held the request back lets it go on. */
  resume(): void {
    if (this.phase === HELD) this.runFilters(this.nextFilter);
  }

  // --- an endpoint is chosen, attempts are made ---

  private chooseBackend(plan: Plan): void {
    const cluster = plan.backend(this.exchange);
    if (isPending(cluster)) {
      this.holdUntil(cluster, () => this.chooseBackend(plan));
      return;
    }
    if (isAnswer(cluster)) {
      this.answer(cluster);
      return;
    }
    const { use, limits } = cluster;
    if (use.requests >= limits.requests) {
      this.answer({
        status: 503,
        code: 'pool-full',
        detail: `${use.requests} requests to ${cluster.service} are in flight (limits: requests ${limits.requests})`,
      });
      return;
    }
    use.requests++;
    this.cluster = cluster;
    const { exchange } = this;
    exchange.service = cluster.service;
    // Once only: it takes away what it tells in another way.
    const added = this.host.addedFields(exchange);
    if (plan.mirrors !== undefined)
      this.copy = this.host.mirroring.copyOf(plan.mirrors, exchange, added, this.body);
    for (const filter of plan.chain.onBackend) filter.onBackend(exchange);
    retryBudgetOf(plan, cluster.service).countRequest(exchange.startMs);
    this.retriesLeft = plan.settings.retries.attempts;
    this.version = upstreamVersion(cluster.protocol, this.host.kind, exchange);
    if (mayRepeat(plan.settings, exchange.method, this.version === HTTP_2)) this.body.keepForReplay();
    this.prepare(exchange, added);
    // A wait or a fault's delay is part of the request's time, and of no endpoint's.
    this.startAttempt(cluster, this.nowMs);
  }

  private prepare(exchange: Exchange, added: string): void {
    this.method = exchange.method;
    this.target = exchange.target;
    this.upgrade = exchange.head.upgrade;
    this.sharedFields = exchange.requestFields + added;
    this.decode = this.downstream.version !== HTTP_11;
  }

  private startAttempt(cluster: Cluster, nowMs: number): void {
    const { exchange } = this;
    if (this.isLate) {
      this.answerLate();
      return;
    }
    const endpoint = this.pickNext(cluster);
    this.endpoint = endpoint;
    if (endpoint === undefined) {
      this.answer({
        status: 503,
        code: 'no-endpoint',
        detail: `${cluster.service} has no endpoint that is ready`,
      });
      return;
    }
    // Inbound, mTLS is the caller's; on the way out it is this call's.
    if (this.host.kind !== 'inbound') exchange.mtls = endpoint.mtls;
    this.attemptStartMs = nowMs;
    this.movedMs = nowMs;
    this.latencyMs = 0;
    this.toldReason = undefined;
    this.attempt = beginAttempt(exchange, cluster, endpoint, nowMs);
    this.phase = CONNECTING;
    this.armTry(nowMs);
    // Before a connection is asked for: at a limit this request is over at once, and the next one may be here.
    if (exchange.attempts.length === 1) this.prepareHedge(cluster);
    const upstream = endpoint.acquire(this, this.version);
    if (upstream !== undefined) this.sendOn(upstream);
    else if (this.phase === CONNECTING) this.holdClient();
  }

  private answerLate(): void {
    const { exchange } = this;
    this.answer(expired(exchange, this.deadlineMs - exchange.startMs, this.byPolicy));
  }

  pickNext(cluster: Cluster): Endpoint | undefined {
    return pickUntried(cluster, this.exchange, this.endpoint);
  }

  private armTry(nowMs: number): void {
    const plan = this.plan as Plan; // an attempt has one
    if (plan.tryTimeoutMs === 0) return;
    this.tryDeadlineMs = this.attemptStartMs + plan.tryTimeoutMs;
    this.armNearest(nowMs);
  }

  onConnection(upstream: Upstream): void {
    if (this.phase === CONNECTING && !this.isLate) {
      this.sendOn(upstream);
      return;
    }
    upstream.abandon();
    if (this.phase === CONNECTING) this.answerLate();
  }

  private sendOn(upstream: Upstream): void {
    this.phase = SENT;
    this.upstream = upstream;
    const { downstream, body } = this;
    this.fields = this.fieldsFor(this.endpoint, this.attempt as Attempt); // startAttempt() set it
    upstream.send(this, this);
    // It may have failed at once.
    if (this.upstream !== upstream) return;
    if (this.attempt !== undefined) this.attempt.connectionReused = upstream.requests > 1;
    body.sendTo(upstream, leavesChunks(this.head, upstream));
    if (this.upstream !== upstream) return;
    if (body.ended) body.endTo(upstream);
    // While the client's bytes are being read, what follows the head may still join it in one write.
    else if (!downstream.reading) upstream.flush();
    if (this.clientHeld) {
      this.clientHeld = false;
      downstream.resumeRequest();
    }
  }

  fieldsFor(endpoint: Endpoint | undefined, attempt: Attempt): string {
    const { exchange, marks, deadlineMs } = this;
    const edge = this.host.kind === 'gateway' && endpoint?.mtls === true ? EDGE_LINE : '';
    const plain = deadlineMs === NO_DEADLINE && marks === UNMARKED && exchange.attempts.length === 1;
    if (plain) return this.sharedFields + edge;
    const toMesh = this.host.kind === 'inbound' || endpoint?.mtls === true;
    return this.sharedFields + edge + attemptFields(exchange, attempt, marks, deadlineMs, toMesh);
  }

  onConnectFailed(failure: ConnectFailure): void {
    if (this.phase !== CONNECTING) return;
    if (this.attempt !== undefined) this.attempt.connectionReused = false;
    const retryable = failure.code !== 'pool-full';
    const answer = { status: 503, code: failure.code, detail: failure.detail };
    this.attemptFailed({ kind: 'connect', status: 0, stale: false }, retryable, answer, retryable);
  }

  /** Ends the current attempt; makes another where the policy, the budget and the request allow it. */
  private attemptFailed(
    failure: AttemptFailure,
    retryable: boolean,
    otherwise: LocalAnswer,
    fault = true,
  ): void {
    const nowMs = performance.now();
    // That a caller asks for what an endpoint does not have is no fault of the endpoint's.
    this.endAttempt(nowMs, otherwise.code, fault && otherwise.code !== 'upgrade-refused');
    this.upstream = undefined;
    if (this.hedge?.runs) this.awaitHedge(this.hedge);
    else this.afterFailure(failure, retryable, otherwise, nowMs);
  }

  /** It has as long as the first attempt had. */
  private awaitHedge({ startMs }: Hedge): void {
    this.phase = HEDGED;
    const { tryTimeoutMs } = this.plan as Plan; // an attempt has one
    if (tryTimeoutMs === 0) return;
    this.tryDeadlineMs = startMs + tryTimeoutMs;
    this.armNearest(performance.now());
  }

  private afterFailure(
    failure: AttemptFailure,
    retryable: boolean,
    otherwise: LocalAnswer,
    nowMs: number,
  ): void {
    const { cluster } = this;
    const retry = retryable ? this.allowRetry(failure, undefined, nowMs) : undefined;
    if (retry !== undefined && cluster !== undefined) this.retry(cluster, retry, nowMs);
    else if (failure.kind === 'refused' && this.passesRefusal) this.refuse(otherwise);
    else {
      if (failure.kind === 'connect' && retryable)
        this.host.retryChain.onConnectFailed(this.exchange, otherwise.code);
      this.answer(otherwise);
    }
  }

  /** Another attempt, at once or after a wait. */
  private retry(cluster: Cluster, { condition, pauseMs }: Retry, nowMs: number): void {
    this.hedge?.cancel();
    this.hedge = undefined;
    const plan = this.plan as Plan; // an attempt has one
    const { attempts } = plan.settings.retries;
    noteRetry(this.exchange, condition, attempts - --this.retriesLeft, attempts, pauseMs);
    if (pauseMs === 0) {
      this.startAttempt(cluster, nowMs);
      return;
    }
    this.tryDeadlineMs = NO_DEADLINE;
    this.armNearest(nowMs);
    this.holdUntil(pause(pauseMs), () => this.startAttempt(cluster, performance.now()));
  }

  /** The caller's sidecar can try elsewhere what the application here has refused. */
  private get passesRefusal(): boolean {
    const { exchange, host, downstream } = this;
    return host.kind === 'inbound' && exchange.mtls && downstream.version === HTTP_2;
  }

  /** Tells the caller that the request has surely not run, instead of answering it. */
  private refuse({ status, code, detail }: LocalAnswer): void {
    const { exchange } = this;
    exchange.status = status;
    exchange.reason = code;
    exchange.detail = `${detail}: the caller is told so and may try again`;
    this.finish(performance.now());
    this.downstream.abort(true);
  }

  private allowRetry(
    failure: AttemptFailure,
    head: MessageHead | undefined,
    nowMs: number,
  ): Retry | undefined {
    const plan = this.plan as Plan; // an attempt has one
    const { exchange, body, endpoint, cluster } = this;
    const decided = decideRetry({
      exchange,
      plan,
      failure,
      head,
      nowMs,
      fromMesh: this.host.kind !== 'inbound' && endpoint?.mtls === true,
      retry: plan.settings.retries.attempts - this.retriesLeft + 1,
      replayable: body.replayable,
      cameWhole: this.cameWhole,
      halfClosed: this.halfClosed,
      callerRetries: this.marks.attempt > 1,
      deadlineMs: this.deadlineMs,
      elsewhere: cluster !== undefined && untriedOf(cluster, exchange) !== undefined,
    });
    if ('condition' in decided) return decided;
    // How its application is called is no policy of the user's.
    if (this.host.kind !== 'inbound') noteNoRetry(exchange, decided);
    if (this.host.kind === 'outbound') this.host.retryChain.onNoRetry(exchange, nowMs);
    return undefined;
  }

  /** `fault`: by what the endpoint is to blame for. */
  private endAttempt(nowMs: number, result: string, fault: boolean, cause = result): void {
    const { endpoint, cluster, attempt } = this;
    if (endpoint === undefined || cluster === undefined || attempt === undefined) return;
    this.attempt = undefined;
    attempt.durationMs = nowMs - this.attemptStartMs;
    attempt.result = result;
    const latencyMs = this.latencyMs > 0 ? this.latencyMs : waitedMs(endpoint, attempt, fault);
    const ejected = cluster.finished(endpoint, nowMs, latencyMs, fault, cause, this.attemptStartMs);
    if (ejected !== undefined) this.exchange.note('circuit-breaker', 'ejected', ejected);
    const measured = !fault && (this.latencyMs > 0 || result === 'cancelled');
    if (measured) cluster.latencies?.observe(nowMs, latencyMs);
  }

  // --- the request's body ---

  onRequestData(bytes: Buffer, start: number, end: number): void {
    this.exchange.requestBytes += end - start;
    this.copy?.add(bytes, start, end);
    const { upstream } = this;
    if (this.idleMs > 0) this.movedMs = performance.now();
    if (this.webSocket !== undefined) {
      this.webSocket.forward(this.downstream, upstream, bytes, start, end);
    } else if (upstream !== undefined) {
      const ready = this.body.forward(upstream, this.downstream.transport, bytes, start, end);
      // Another attempt may be made before this upstream says that it takes more.
      if (!ready) this.stopClient();
    } else if (this.phase === CONNECTING || this.phase === HELD) {
      this.body.hold(bytes, start, end);
    }
  }

  onRequestEnd(trailers: readonly Field[] | undefined): void {
    this.body.end(trailers);
    this.copy?.end();
    this.copy = undefined;
    if (this.upstream !== undefined) this.body.endTo(this.upstream);
  }

  onRequestFlush(): void {
    this.upstream?.flush();
  }

  onHalfClosed(): void {
    // Nearly always the client has gone, while it was delayed on purpose or waited for a retry.
    const { attempts, delays } = this.exchange;
    if (this.phase === HELD && (delays > 0 || attempts.length > 0)) {
      this.onDisconnected();
      this.downstream.abort();
      return;
    }
    this.halfClosed = true;
    this.upstream?.halfClose();
  }

  onRequestWritable(): void {
    this.clientHeld = false;
    this.downstream.resumeRequest();
  }

  /** Nobody takes the request's body yet. */
  private holdClient(): void {
    if (!this.cameWhole) this.stopClient();
  }

  private stopClient(): void {
    this.clientHeld = true;
    this.downstream.pauseRequest();
  }

  // --- the response ---

  onInformational(head: MessageHead): void {
    this.downstream.informational(head);
  }

  onResponse(head: MessageHead): void {
    const nowMs = performance.now();
    this.latencyMs = nowMs - this.attemptStartMs;
    if (head.status >= 400 || this.exchange.grpc) this.tellCluster(head);
    this.movedMs = nowMs;
    if (this.hedge !== undefined && this.settleHedge(head, nowMs)) return;
    if (this.retryResponse(head, nowMs)) return;
    const { status } = head;
    if (isFault(status, this.exchange.grpcStatus)) this.toldReason = head.get('tulle-reason');
    else if (this.endpoint !== undefined) this.cluster?.answered(this.endpoint, this.attemptStartMs);
    this.tryDeadlineMs = NO_DEADLINE;
    this.body.forget();
    const { exchange } = this;
    exchange.status = status;
    const plan = this.plan as Plan; // an upstream answers a planned request
    for (const filter of plan.chain.onResponse) filter.onResponse(exchange, head);
    const tunnel = this.switches(status);
    this.phase = tunnel ? TUNNEL : RESPONDING;
    this.answersGrpc = exchange.grpc && isGrpc(head);
    const { tellsAll } = this;
    // Nor are strangers told of retries that another hop has made.
    if (!tellsAll) head.remove(RETRIED_FIELD);
    const told = tellsAll && exchange.attempts.length > 1 ? retriedFields(exchange, head) : '';
    this.downstream.respond(head, exchange.responseFields + told);
    if (tunnel) this.openTunnel();
  }

  /** It may ask to be spared for a while. */
  private tellCluster(head: MessageHead): void {
    if (this.endpoint !== undefined) this.cluster?.responded(this.endpoint, head);
  }

  private switches(status: number): boolean {
    return status === SWITCHING || (status === 200 && this.upgrade !== '' && this.version === HTTP_2);
  }

  /** Tries again instead of passing on a failure, if the policy wants it. */
  private retryResponse(head: MessageHead, nowMs: number): boolean {
    const { exchange, cluster, upstream } = this;
    const failure = failureOf(exchange, head);
    if (failure === undefined || cluster === undefined) return false;
    const retry = this.allowRetry(failure, head, nowMs);
    if (retry === undefined) {
      this.host.retryChain.onFailure(exchange, head);
      return false;
    }
    this.endByHead(head, failure, nowMs);
    exchange.grpcStatus = -1;
    this.upstream = undefined;
    upstream?.discard();
    this.retry(cluster, retry, nowMs);
    return true;
  }

  /** The attempt's response is a failure that is not passed on. */
  private endByHead(head: MessageHead, failure: AttemptFailure, nowMs: number): void {
    const fault = isFault(head.status, this.exchange.grpcStatus);
    const told = fault ? head.get('tulle-reason') : undefined;
    if (this.isCallersHaste(told)) this.endAttempt(nowMs, resultOf(failure), false, TOO_LATE);
    else this.endAttempt(nowMs, resultOf(failure), fault, told);
  }

  /**
   * It failed because its caller left too little time, or was too slow with its body, which is not the endpoint's fault:
   * a stranger could have it ejected.
   */
  private isCallersHaste(toldReason: string | undefined): boolean {
    const isCallers = this.deadlineMs !== NO_DEADLINE && !(this.byPolicy && this.cameWhole);
    return isCallers && saysTooLate(this.exchange, toldReason);
  }

  onResponseData(bytes: Buffer, start: number, end: number): void {
    if (this.phase !== RESPONDING && this.phase !== TUNNEL) return;
    this.exchange.responseBytes += end - start;
    if (this.idleMs > 0) this.movedMs = performance.now();
    const { upstream } = this;
    const ready = this.downstream.responseData(upstream?.transport, bytes, start, end);
    if (!ready) upstream?.pauseResponse();
  }

  onResponseFlush(): void {
    if (this.phase === RESPONDING && !this.downstream.flush()) this.upstream?.pauseResponse();
  }

  onResponseWritable(): void {
    this.upstream?.resumeResponse();
  }

  onResponseEnd(trailers: readonly Field[] | undefined): void {
    if (this.phase !== RESPONDING) return;
    this.upstream = undefined;
    const nowMs = performance.now();
    const { exchange } = this;
    const began = exchange.grpcStatus < 0;
    if (exchange.grpc) this.takeGrpcStatus(trailers);
    const result = String(exchange.status);
    const fault = isFault(exchange.status, exchange.grpcStatus);
    const cut = began && this.isOver(nowMs) && saysTooLate(exchange, undefined);
    if (cut || this.isCallersHaste(this.toldReason)) this.endAttempt(nowMs, result, false, TOO_LATE);
    else this.endAttempt(nowMs, result, fault, fault ? faultCause(exchange, this.toldReason) : undefined);
    this.finish(nowMs);
    this.downstream.responseEnd(trailers);
  }

  private takeGrpcStatus(trailers: readonly Field[] | undefined): void {
    const status = trailers?.find(({ name }) => name === 'grpc-status')?.value;
    if (status !== undefined) this.exchange.grpcStatus = readGrpcStatus(status);
  }

  onResponseFailed(failure: UpstreamFailure): void {
    const { upstream } = this;
    if (upstream === undefined) return;
    if (this.phase === TUNNEL) {
      this.endTunnel();
      return;
    }
    const answer = failure.problem ?? resetAnswer(failure, upstream);
    if (this.phase === SENT) {
      const { what, fault } = brokenOff(failure, upstream);
      this.attemptFailed(what, failure.problem === undefined, answer, fault);
    } else if (this.isOver(performance.now())) {
      this.upstream = undefined;
      this.failTimedOut();
    } else {
      this.endAttempt(performance.now(), answer.code, true);
      this.fail(answer);
    }
  }

  // --- hedging ---

  /** A second attempt joins the first when no head came for longer than most of late took. */
  private prepareHedge(cluster: Cluster): void {
    const { exchange } = this;
    const plan = this.plan as Plan; // an attempt has one
    const policy = plan.settings.hedge;
    if (policy === undefined) return;
    cluster.latencies ??= new LatencyWindow();
    if (this.marks.attempt > 1 || this.upgrade !== '') return;
    if (!mayRunTwice(policy, exchange.method)) return;
    const afterMs = cluster.latencies.quantile(exchange.startMs, policy.quantile);
    if (afterMs > 0) this.hedge = new Hedge(this, plan, cluster, afterMs);
  }

  get waitsForHead(): boolean {
    return this.phase === SENT || this.phase === CONNECTING;
  }

  /** The first attempt has a head. True: it is a failure, and its hedge is waited for instead. */
  private settleHedge(head: MessageHead, nowMs: number): boolean {
    const { hedge, exchange } = this;
    const failure = hedge?.runs ? failureOf(exchange, head) : undefined;
    if (hedge !== undefined && isServerFailure(exchange, failure)) {
      this.endByHead(head, failure, nowMs);
      this.upstream?.discard();
      this.upstream = undefined;
      exchange.grpcStatus = -1;
      this.awaitHedge(hedge);
      return true;
    }
    if (hedge?.runs) exchange.note('hedge', 'lost', 'the first attempt answered first');
    hedge?.cancel();
    this.hedge = undefined;
    return false;
  }

  onHedgeHead(hedge: Hedge, head: MessageHead): void {
    const { exchange } = this;
    const failure = failureOf(exchange, head);
    if (this.phase !== HEDGED && isServerFailure(exchange, failure)) {
      const fault = isFault(head.status, exchange.grpcStatus);
      const haste = this.isCallersHaste(head.get('tulle-reason'));
      exchange.note('hedge', 'lost', `it was answered ${resultOf(failure)}`);
      exchange.grpcStatus = -1;
      this.hedge = undefined;
      hedge.drop(haste ? TOO_LATE : resultOf(failure), fault && !haste);
      return;
    }
    if (this.phase !== HEDGED) this.dropAttempt('cancelled');
    this.hedge = undefined;
    hedge.take();
    this.endpoint = hedge.endpoint;
    this.upstream = hedge.upstream;
    this.attempt = hedge.attempt;
    this.attemptStartMs = hedge.startMs;
    this.phase = SENT;
    exchange.hedge = 'won';
    exchange.note('hedge', 'won', `hedge: ${hedge.endpoint?.address ?? ''} answered first`);
    if (this.host.kind !== 'inbound') exchange.mtls = hedge.endpoint?.mtls === true;
    this.onResponse(head);
  }

  onHedgeFailed(hedge: Hedge, failure: AttemptFailure, retryable: boolean, answer: LocalAnswer): void {
    if (hedge !== this.hedge) return;
    this.hedge = undefined;
    this.exchange.note('hedge', 'lost', `it failed: ${answer.detail}`);
    if (this.phase !== HEDGED) return;
    this.endpoint = hedge.endpoint;
    this.afterFailure(failure, retryable, answer, performance.now());
  }

  // --- ends ---

  onDeadline(): void {
    if (this.phase === IDLE || this.phase === TUNNEL) return;
    const plan = this.plan as Plan; // deadlines are armed for a plan
    const nowMs = performance.now();
    if (nowMs >= this.deadlineMs) this.failTimedOut();
    else if (nowMs >= this.tryDeadlineMs) this.tryTimedOut(plan);
    else if (this.idledOut(nowMs)) this.fail(idledOut(this.exchange.service, this.idleMs));
    else this.armNearest(nowMs);
  }

  /** A caller that leaves too little time is not the endpoint's fault: a stranger could have it ejected. */
  private failTimedOut(): void {
    const { exchange, byPolicy } = this;
    const fullPool = fullPoolOf(this.cluster, this.endpoint, this);
    this.dropAttempt('request-timeout', byPolicy && fullPool === undefined && this.awaitsServer);
    this.fail(timedOut(exchange, this.deadlineMs - exchange.startMs, byPolicy, fullPool));
  }

  /** While the request is held back here, nothing can move. */
  private idledOut(nowMs: number): boolean {
    if (this.phase === HELD) this.movedMs = nowMs;
    return this.idleMs > 0 && nowMs >= this.movedMs + this.idleMs;
  }

  /** It is the server's turn: a client that is slow with its body is not the endpoint's fault, nor one slow to take the response. */
  private get awaitsServer(): boolean {
    if (this.phase === CONNECTING) return true;
    return this.phase === SENT && this.cameWhole;
  }

  private get cameWhole(): boolean {
    return this.body.ended || this.head.bodyLength === 0;
  }

  /** A hedge that is under way goes on for its own time. */
  private tryTimedOut({ service, tryTimeoutMs }: Plan): void {
    const hedge = this.phase === HEDGED ? this.hedge : undefined;
    this.tryDeadlineMs = NO_DEADLINE;
    this.armNearest(performance.now());
    const failure = { kind: 'try-timeout', status: 504, stale: false } as const;
    const endpoint = hedge === undefined ? this.endpoint : hedge.endpoint;
    const fullPool = fullPoolOf(this.cluster, endpoint, hedge ?? this);
    const answer = tryTimedOut(service, endpoint?.address, tryTimeoutMs, fullPool);
    if (hedge === undefined) {
      this.dropAttempt('try-timeout', fullPool === undefined && this.awaitsServer);
      this.attemptFailed(failure, true, answer);
    } else {
      hedge.cancel('try-timeout', fullPool === undefined);
      this.onHedgeFailed(hedge, failure, true, answer);
    }
  }

  onRefused(problem: MessageProblem): void {
    const { exchange } = this;
    exchange.begin(this.head, performance.now());
    exchange.method = 'INVALID';
    exchange.path = '';
    exchange.id = newRequestId();
    this.plan = undefined;
    this.downstream = this.connection; // the request before may have been gRPC-Web
    this.answer(problem);
  }

  onRequestAborted(problem: MessageProblem): void {
    if (this.phase === IDLE) return;
    this.fail(problem);
  }

  onDisconnected(): void {
    if (this.phase === IDLE) return;
    if (this.phase !== TUNNEL) noteClientClosed(this.exchange);
    this.dropUpstream();
    this.finish(performance.now());
  }

  /** Answers if the client has seen nothing yet; otherwise cuts the response so that it is not taken for whole. */
  private fail(answer: LocalAnswer): void {
    this.dropUpstream();
    if (this.phase !== RESPONDING) {
      this.answer(answer);
      return;
    }
    const { exchange, downstream } = this;
    exchange.reason = answer.code;
    exchange.detail = answer.detail;
    if (exchange.grpc) exchange.grpcStatus = grpcStatusOf(answer);
    this.finish(performance.now());
    // gRPC has a place for bad news after the messages.
    if (this.answersGrpc) downstream.responseEnd(grpcTrailers(answer, this.tellsAll));
    else downstream.abort();
  }

  /** Makes the response here. */
  answer(answer: LocalAnswer): void {
    const { exchange } = this;
    exchange.status = exchange.grpc ? 200 : answer.status;
    exchange.reason = answer.code;
    exchange.detail = answer.detail;
    this.dropUpstream();
    this.phase = RESPONDING;
    if (exchange.grpc) exchange.grpcStatus = grpcStatusOf(answer);
    const { status, fields, body } = localResponse(exchange, answer, this.tellsAll);
    this.finish(performance.now());
    this.downstream.respondLocally(status, fields, body);
  }

  /** Whatever is under way with an upstream ends now. */
  private dropUpstream(): void {
    this.cancelWait?.();
    this.cancelWait = undefined;
    this.hedge?.cancel();
    this.hedge = undefined;
    this.dropAttempt(this.exchange.reason || 'cancelled');
  }

  private dropAttempt(result: string, failed = false): void {
    if (this.phase === CONNECTING) this.endpoint?.cancel(this);
    const { upstream } = this;
    this.upstream = undefined;
    upstream?.abandon();
    this.endAttempt(performance.now(), result, failed);
  }

  private finish(nowMs: number): void {
    const { exchange, plan, cluster } = this;
    this.phase = IDLE;
    this.copy?.abandon();
    this.copy = undefined;
    if (this.wheelSlot >= 0) this.host.wheel.disarm(this);
    if (cluster !== undefined) cluster.use.requests--;
    this.cluster = undefined;
    this.endpoint = undefined;
    this.fields = '';
    this.sharedFields = '';
    this.body.release();
    this.clientHeld = false;
    if (this.upgrade !== '') this.forgetTunnel();
    if (this.host.kind === 'inbound') this.host.retryChain.end(exchange, this.marks);
    if (plan !== undefined) for (const filter of plan.chain.onEnd) filter.onEnd(exchange);
    this.host.record(exchange, plan, nowMs);
  }

  // --- tunnels ---

  private openTunnel(): void {
    if (this.wheelSlot >= 0) this.host.wheel.disarm(this);
    this.host.tunnels.add(this);
    if (this.upgrade.toLowerCase() === 'websocket') this.webSocket = new WebSocketDrain();
    this.downstream.tunnel();
  }

  drainTunnel(): void {
    this.webSocket?.drain(this.upstream);
  }

  onTunnelEnd(): void {
    this.upstream?.endTunnel();
  }

  onUpstreamTunnelEnd(): void {
    this.downstream.endTunnel();
  }

  private forgetTunnel(): void {
    this.host.tunnels.delete(this);
    this.webSocket = undefined;
  }

  private endTunnel(): void {
    this.upstream = undefined;
    const nowMs = performance.now();
    this.endAttempt(nowMs, String(SWITCHING), false);
    this.finish(nowMs);
    this.downstream.endTunnel(true);
  }
}

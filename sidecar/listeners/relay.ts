import type { Cluster } from '../balancing/cluster.ts';
import { Exchange, isGrpc, type ListenerKind, type LocalAnswer } from '../exchange.ts';
import { LATER } from '../filters/filter.ts';
import { type AttemptFailure, isIdempotent, retryCondition } from '../filters/retry.ts';
import type { Downstream, RequestHandler } from '../http/downstream.ts';
import { Field } from '../http/field.ts';
import type { Limits } from '../http/limits.ts';
import { HTTP_2, HTTP_11, type MessageHead, UNKNOWN_LENGTH } from '../http/message-head.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import type { OutgoingRequest, ResponseHandler, Upstream, UpstreamFailure } from '../http/upstream.ts';
import type { Protection } from '../http2/flood-guard.ts';
import { isAnswer, isPending, type Pending, type Plan } from '../routing/plan.ts';
import { GOING_AWAY, WebSocketFrames } from '../tcp/websocket-frames.ts';
import type { Attempt } from '../telemetry/explanation.ts';
import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { ConnectFailure } from '../upstream/connect-attempt.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ConnectionWaiter } from '../upstream/pool-use.ts';
import { grpcTimeout, grpcTimeoutMs } from './grpc-deadline.ts';
import { CANCELLED, grpcCondition, grpcMessage, grpcStatusOf, readGrpcStatus } from './grpc-status.ts';
import { GrpcWebDownstream, grpcWebOf } from './grpc-web.ts';
import { localResponse } from './local-response.ts';
import type { Overload } from './overload.ts';
import { RequestBody } from './request-body.ts';
import { isRequestId, newRequestId } from './request-id.ts';
import { upstreamVersion } from './upstream-version.ts';

/** What a listener gives to the relays of its connections. */
export interface RelayHost {
  readonly kind: ListenerKind;
  readonly wheel: TimerWheel;
  readonly limits: Limits;
  readonly overload: Overload;
  /** Tunnels that are open, to be told when this proxy goes. */
  readonly tunnels: Set<{ drainTunnel(): void }>;
  /** Whether callers are told the words of a reason, or its code only. */
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

/** A tunnel was opened by 101, or by 200 in answer to an extended CONNECT. */
const SWITCHING = 101;

/**
 * Carries one request at a time from its downstream to an upstream: route, filters, endpoint, attempts,
 * response, record. An HTTP/1.1 connection has one for all its requests, HTTP/2 one a stream. It is called by
 * events and never waits.
 */
export class Relay implements RequestHandler, ResponseHandler, ConnectionWaiter, OutgoingRequest, Timed {
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
  private readonly body: RequestBody;
  private phase = IDLE;
  private plan: Plan | undefined = undefined;
  private cluster: Cluster | undefined = undefined;
  private endpoint: Endpoint | undefined = undefined;
  private upstream: Upstream | undefined = undefined;
  private cancelWait: (() => void) | undefined = undefined;
  private nextFilter = 0;
  /** HTTP version of the upstream. */
  private version = HTTP_11;
  private retriesLeft = 0;
  private attemptStartMs = 0;
  private attempt: Attempt | undefined = undefined;
  private latencyMs = 0;
  /** The response is gRPC: its status may follow its messages. */
  private answersGrpc = false;
  /** Whole time for the request in ms, 0: no limit. */
  private timeoutMs = 0;
  private tryDeadlineMs = 0;
  private clientHeld = false;
  /** What the client sends through a WebSocket. */
  private frames: WebSocketFrames | undefined = undefined;
  private goingAway = false;
  private saidGoingAway = false;

  constructor(host: RelayHost, downstream: Downstream, head: MessageHead) {
    this.host = host;
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
    this.takeRequestId(head);
    if (this.host.kind === 'gateway') this.translateGrpcWeb(head);
    const waitedMs = this.host.overload.excess(exchange.startMs);
    if (waitedMs > 0) this.answer(overloaded(waitedMs));
    else this.route();
  }

  private takeRequestId(head: MessageHead): void {
    const { exchange, host } = this;
    const given = head.requestId;
    if (given !== '' && host.trustsRequestId && isRequestId(given)) {
      exchange.id = given;
      return;
    }
    exchange.id = newRequestId();
    if (given !== '') head.remove('x-request-id');
    exchange.requestFields = `x-request-id: ${exchange.id}\r\n`;
  }

  /** Browsers call gRPC services in a form of their own (PROTOCOL-WEB.md). */
  private translateGrpcWeb(head: MessageHead): void {
    this.downstream = this.connection;
    const kind = grpcWebOf(head);
    if (kind === undefined) return;
    this.downstream = new GrpcWebDownstream(this.connection, kind);
    this.exchange.grpc = true;
    head.remove('content-type');
    if (kind.text) {
      head.remove('content-length');
      this.body.decodeBase64();
    }
    this.exchange.requestFields += `content-type: application/grpc${kind.suffix}\r\nte: trailers\r\n`;
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
    if (planned.chain.onRequest.length > 0) this.runFilters(0);
    else this.chooseBackend(planned);
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
      return;
    }
    this.chooseBackend(plan);
  }

  /** A filter that held the request back lets it go on. */
  resume(): void {
    if (this.phase === HELD) this.runFilters(this.nextFilter);
  }

  // --- an endpoint is chosen, attempts are made ---

  private chooseBackend(plan: Plan): void {
    const cluster = plan.backend();
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
    plan.retryBudget.countRequest(exchange.startMs);
    this.retriesLeft = plan.settings.retries.attempts;
    this.version = upstreamVersion(cluster.protocol, this.host.kind, exchange);
    this.timeoutMs = this.deadlineOf(plan);
    if (this.retriesLeft > 0 && this.mayRepeat(plan)) this.body.keepForReplay();
    this.prepare(exchange);
    if (this.timeoutMs > 0) this.host.wheel.arm(this, this.timeoutMs);
    this.startAttempt(cluster, exchange.startMs);
  }

  /**
   * Whether the body may be asked for once more: by a policy, for what is safe to repeat or for gRPC by its status;
   * in HTTP/2 also by a server that refuses the stream, which is no reason to fail any request.
   */
  private mayRepeat({ settings }: Plan): boolean {
    if (this.version === HTTP_2) return true;
    const more = settings.retries.on.some((condition) => condition !== 'connect');
    return more && isIdempotent(this.exchange.method);
  }

  /** The policy's timeout, or the deadline that a gRPC caller has set, whichever ends first. */
  private deadlineOf(plan: Plan): number {
    const { timeoutMs } = plan;
    if (!this.exchange.grpc) return timeoutMs;
    const asked = grpcTimeoutMs(this.head.get('grpc-timeout'));
    if (timeoutMs === 0 || (asked > 0 && asked <= timeoutMs)) return asked;
    this.head.remove('grpc-timeout');
    this.exchange.requestFields += `grpc-timeout: ${grpcTimeout(timeoutMs)}\r\n`;
    return timeoutMs;
  }

  private prepare(exchange: Exchange): void {
    this.method = exchange.method;
    this.target = exchange.target;
    this.upgrade = exchange.head.upgrade;
    this.fields = exchange.requestFields + this.host.addedFields(exchange);
    this.decode = this.downstream.version !== HTTP_11;
  }

  private startAttempt(cluster: Cluster, nowMs: number): void {
    const endpoint = cluster.pick(this.endpoint);
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
    if (this.host.kind !== 'inbound') this.exchange.mtls = endpoint.mtls;
    cluster.balancer.started(endpoint, nowMs);
    this.attemptStartMs = nowMs;
    this.latencyMs = 0;
    this.attempt = {
      endpoint: endpoint.address,
      startMs: nowMs - this.exchange.startMs,
      durationMs: 0,
      result: '',
      connectionReused: true,
    };
    this.exchange.attempts.push(this.attempt);
    this.phase = CONNECTING;
    this.armTry();
    const upstream = endpoint.acquire(this, this.version);
    if (upstream !== undefined) this.sendOn(upstream);
    else if (this.phase === CONNECTING) this.holdClient();
  }

  /** The nearer of the whole request's and this attempt's deadline is the one that is armed. */
  private armTry(): void {
    const plan = this.plan as Plan; // an attempt has one
    this.tryDeadlineMs = 0;
    if (plan.tryTimeoutMs === 0) return;
    this.tryDeadlineMs = this.attemptStartMs + plan.tryTimeoutMs;
    const whole = this.timeoutMs > 0 ? this.exchange.startMs + this.timeoutMs : Number.POSITIVE_INFINITY;
    const until = Math.min(whole, this.tryDeadlineMs) - performance.now();
    this.host.wheel.arm(this, Math.max(1, until));
  }

  onConnection(upstream: Upstream): void {
    if (this.phase === CONNECTING) this.sendOn(upstream);
    else upstream.abandon();
  }

  private sendOn(upstream: Upstream): void {
    this.phase = SENT;
    this.upstream = upstream;
    const { downstream, body } = this;
    upstream.send(this, this);
    // It may have failed at once.
    if (this.upstream !== upstream) return;
    if (this.attempt !== undefined) this.attempt.connectionReused = upstream.requests > 1;
    body.sendTo(upstream, this.leavesChunks(upstream));
    if (this.upstream !== upstream) return;
    if (body.ended) body.endTo(upstream);
    // While the client's bytes are being read, what follows the head may still join it in one write.
    else if (!downstream.reading) upstream.flush();
    if (this.clientHeld) {
      this.clientHeld = false;
      downstream.resumeRequest();
    }
  }

  /** Whether the body comes in the chunks of HTTP/1.1, which HTTP/2 does not have. */
  private leavesChunks(upstream: Upstream): boolean {
    return (
      upstream.version === HTTP_2 && this.head.version === HTTP_11 && this.head.bodyLength === UNKNOWN_LENGTH
    );
  }

  onConnectFailed(failure: ConnectFailure): void {
    if (this.phase !== CONNECTING) return;
    if (this.attempt !== undefined) this.attempt.connectionReused = false;
    const retryable = failure.code !== 'pool-full';
    this.attemptFailed({ kind: 'connect', status: 0, stale: false }, retryable, {
      status: 503,
      code: failure.code,
      detail: failure.detail,
    });
  }

  /** Ends the current attempt; makes another where the policy, the budget and the request allow it. */
  private attemptFailed(failure: AttemptFailure, retryable: boolean, otherwise: LocalAnswer): void {
    const nowMs = performance.now();
    // That a caller asks for what an endpoint does not have is no fault of the endpoint's.
    this.endAttempt(nowMs, otherwise.code, otherwise.code !== 'upgrade-refused');
    this.upstream = undefined;
    const condition = retryable ? this.allowRetry(failure, nowMs) : undefined;
    const { cluster } = this;
    if (condition === undefined || cluster === undefined) {
      if (failure.kind === 'refused' && this.passesRefusal) this.refuse(otherwise);
      else this.answer(otherwise);
      return;
    }
    this.noteRetry(condition);
    this.startAttempt(cluster, nowMs);
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

  private allowRetry(failure: AttemptFailure, nowMs: number): string | undefined {
    const plan = this.plan as Plan; // an attempt has one
    if (this.retriesLeft <= 0) return undefined;
    const { method } = this.exchange;
    // What a reset or a timeout leaves open may have run: only what is safe twice is sent again.
    const told = failure.kind === 'refused' || failure.grpc !== undefined || isIdempotent(method);
    const replayable = told ? this.body.replayable : !this.body.sent;
    const condition = retryCondition(plan.settings, failure, method, replayable);
    if (condition === undefined) return undefined;
    if (!plan.retryBudget.tryRetry(nowMs)) {
      this.exchange.note('retry-budget', 'refused', `the retry budget of ${plan.service} is used up`);
      return undefined;
    }
    return condition;
  }

  private noteRetry(condition: string): void {
    const plan = this.plan as Plan; // an attempt has one
    const { attempts } = plan.settings.retries;
    this.retriesLeft--;
    this.exchange.note(
      'retries',
      'retried',
      `on ${condition}: retry ${attempts - this.retriesLeft} of ${attempts}`,
    );
  }

  private endAttempt(nowMs: number, result: string, failed: boolean): void {
    const { endpoint, cluster, attempt } = this;
    if (endpoint === undefined || cluster === undefined || attempt === undefined) return;
    this.attempt = undefined;
    attempt.durationMs = nowMs - this.attemptStartMs;
    attempt.result = result;
    cluster.balancer.finished(
      endpoint,
      nowMs,
      this.latencyMs > 0 ? this.latencyMs : attempt.durationMs,
      failed,
    );
  }

  // --- the request's body ---

  onRequestData(bytes: Buffer, start: number, end: number): void {
    this.exchange.requestBytes += end - start;
    const { upstream } = this;
    if (this.frames !== undefined) {
      this.forwardFrames(this.frames, bytes, start, end);
    } else if (upstream !== undefined) {
      const ready = this.body.forward(upstream, this.downstream.transport, bytes, start, end);
      if (!ready) this.downstream.pauseRequest();
    } else if (this.phase === CONNECTING || this.phase === HELD) {
      this.body.hold(bytes, start, end);
    }
  }

  onRequestEnd(trailers: readonly Field[] | undefined): void {
    this.body.end(trailers);
    if (this.upstream !== undefined) this.body.endTo(this.upstream);
  }

  onRequestFlush(): void {
    this.upstream?.flush();
  }

  onHalfClosed(): void {
    // A server that now closes has not failed: it does what it would do without a proxy.
    this.retriesLeft = 0;
    this.upstream?.halfClose();
  }

  onRequestWritable(): void {
    this.downstream.resumeRequest();
  }

  /** Nobody takes the request's body yet. */
  private holdClient(): void {
    if (this.body.ended || this.head.bodyLength === 0) return;
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
    if (this.retryResponse(head, nowMs)) return;
    const { status } = head;
    this.tryDeadlineMs = 0;
    this.body.forget();
    const { exchange } = this;
    exchange.status = status;
    const plan = this.plan as Plan; // an upstream answers a planned request
    for (const filter of plan.chain.onResponse) filter.onResponse(exchange, head);
    const tunnel = this.switches(status);
    this.phase = tunnel ? TUNNEL : RESPONDING;
    this.answersGrpc = exchange.grpc && isGrpc(head);
    const told = exchange.attempts.length > 1 ? this.retriedFields(head) : '';
    this.downstream.respond(head, exchange.responseFields + told);
    if (tunnel) this.openTunnel();
  }

  private switches(status: number): boolean {
    return status === SWITCHING || (status === 200 && this.upgrade !== '' && this.version === HTTP_2);
  }

  /** Tries again instead of passing on a failure, if the policy wants it. */
  private retryResponse(head: MessageHead, nowMs: number): boolean {
    const { status } = head;
    if (this.exchange.grpc) {
      // Only a response without messages can still be replaced.
      const grpcStatus = head.get('grpc-status');
      if (grpcStatus === undefined) return false;
      this.exchange.grpcStatus = readGrpcStatus(grpcStatus);
      if (grpcStatus === '0') return false;
    } else if (status < 400) return false;
    const { cluster, upstream } = this;
    if (cluster === undefined || !this.body.ended) return false;
    const grpc = this.exchange.grpc ? grpcCondition(this.exchange.grpcStatus) : undefined;
    const failure: AttemptFailure = { kind: 'status', status, stale: false, ...(grpc && { grpc }) };
    const condition = this.allowRetry(failure, nowMs);
    if (condition === undefined) return false;
    this.endAttempt(nowMs, grpc ?? String(status), true);
    this.exchange.grpcStatus = -1;
    this.upstream = undefined;
    upstream?.discard();
    this.noteRetry(condition);
    this.startAttempt(cluster, nowMs);
    return true;
  }

  /** A response that a retry brought says so, and by what name to ask for more. */
  private retriedFields(head: MessageHead): string {
    const { exchange, host } = this;
    if (!host.tellsAll) return '';
    const { policies } = exchange;
    const why = policies
      .filter(({ policy, decision }) => policy === 'retries' && decision === 'retried')
      .at(-1);
    const id = head.find('x-request-id', 0) < 0 ? `x-request-id: ${exchange.id}\r\n` : '';
    return `tulle-retried: ${why?.detail ?? ''}\r\n${id}`;
  }

  onResponseData(bytes: Buffer, start: number, end: number): void {
    if (this.phase !== RESPONDING && this.phase !== TUNNEL) return;
    this.exchange.responseBytes += end - start;
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
    if (exchange.grpc) this.takeGrpcStatus(trailers);
    const failed = exchange.status >= 500 || exchange.grpcStatus > 0;
    this.endAttempt(nowMs, String(exchange.status), failed);
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
    const { problem, refused } = failure;
    const stale = !upstream.answered && upstream.requests > 1 && upstream.version === HTTP_11;
    const answer = problem ?? resetAnswer(failure, upstream);
    if (this.phase === SENT) {
      const kind = refused ? 'refused' : 'reset';
      const retryable = problem === undefined;
      this.attemptFailed({ kind, status: 0, stale: stale && retryable }, retryable, answer);
    } else {
      this.endAttempt(performance.now(), answer.code, true);
      this.fail(answer);
    }
  }

  // --- ends ---

  onDeadline(): void {
    if (this.phase === IDLE || this.phase === TUNNEL) return;
    const plan = this.plan as Plan; // deadlines are armed for a plan
    const nowMs = performance.now();
    const { timeoutMs } = this;
    const whole = timeoutMs > 0 && nowMs >= this.exchange.startMs + timeoutMs;
    if (!whole && this.tryDeadlineMs > 0 && nowMs >= this.tryDeadlineMs) {
      this.dropUpstream();
      this.attemptFailed({ kind: 'try-timeout', status: 504, stale: false }, true, {
        status: 504,
        code: 'try-timeout',
        detail: `${this.endpoint?.address ?? plan.service} did not answer within try-timeout ${plan.tryTimeoutMs} ms`,
      });
      return;
    }
    if (!whole) {
      if (timeoutMs > 0) this.host.wheel.arm(this, Math.max(1, this.exchange.startMs + timeoutMs - nowMs));
      return;
    }
    const whose = plan.timeoutMs === timeoutMs ? 'timeout' : "the caller's grpc-timeout";
    this.fail({
      status: 504,
      code: 'request-timeout',
      detail: `${plan.service} did not finish within ${whose} ${timeoutMs} ms`,
    });
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
    if (this.phase !== TUNNEL) this.noteClientClosed();
    this.dropUpstream();
    this.finish(performance.now());
  }

  private noteClientClosed(): void {
    const { exchange } = this;
    exchange.reason = 'client-closed';
    exchange.detail = 'the client went away before the response was complete';
    if (exchange.status === 0) exchange.status = 499;
    if (exchange.grpc) exchange.grpcStatus = CANCELLED;
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
    if (this.answersGrpc) downstream.responseEnd(this.grpcTrailers(answer));
    else downstream.abort();
  }

  private grpcTrailers(answer: LocalAnswer): Field[] {
    const words = this.host.tellsAll ? answer.detail : answer.code;
    return [
      new Field('grpc-status', String(grpcStatusOf(answer))),
      new Field('grpc-message', grpcMessage(words)),
      new Field('tulle-reason', answer.code),
    ];
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
    const { status, fields, body } = localResponse(exchange, answer, this.host.tellsAll);
    this.finish(performance.now());
    this.downstream.respondLocally(status, fields, body);
  }

  /** Whatever is under way with an upstream ends now. */
  private dropUpstream(): void {
    this.cancelWait?.();
    this.cancelWait = undefined;
    if (this.phase === CONNECTING) this.endpoint?.cancel(this);
    const { upstream } = this;
    this.upstream = undefined;
    upstream?.abandon();
    this.endAttempt(performance.now(), this.exchange.reason || 'cancelled', false);
  }

  private finish(nowMs: number): void {
    const { exchange, plan, cluster } = this;
    this.phase = IDLE;
    if (this.wheelSlot >= 0) this.host.wheel.disarm(this);
    if (cluster !== undefined) cluster.use.requests--;
    this.cluster = undefined;
    this.endpoint = undefined;
    this.fields = '';
    this.body.release();
    this.clientHeld = false;
    if (this.upgrade !== '') this.forgetTunnel();
    if (plan !== undefined) for (const filter of plan.chain.onEnd) filter.onEnd(exchange);
    this.host.record(exchange, plan, nowMs);
  }

  // --- tunnels ---

  private openTunnel(): void {
    if (this.wheelSlot >= 0) this.host.wheel.disarm(this);
    this.host.tunnels.add(this);
    if (this.upgrade.toLowerCase() === 'websocket') this.frames = new WebSocketFrames();
    this.downstream.tunnel();
  }

  /** This proxy goes: the server of a WebSocket is told so as by its client, and its answer tells the client. */
  drainTunnel(): void {
    this.goingAway = true;
    if (this.frames?.between === true) this.sayGoingAway();
  }

  private forwardFrames(frames: WebSocketFrames, bytes: Buffer, start: number, end: number): void {
    const boundary = frames.follow(bytes, start, end);
    if (this.saidGoingAway) return; // Nothing follows a Close frame.
    const leaves = this.goingAway && boundary >= 0;
    const { transport } = this.downstream;
    const ready = this.upstream?.requestData(transport, bytes, start, leaves ? boundary : end);
    if (leaves) this.sayGoingAway();
    else if (ready === false) this.downstream.pauseRequest();
  }

  private sayGoingAway(): void {
    this.saidGoingAway = true;
    this.upstream?.requestData(undefined, GOING_AWAY, 0, GOING_AWAY.length);
    this.upstream?.flush();
  }

  onTunnelEnd(): void {
    this.upstream?.endTunnel();
  }

  onUpstreamTunnelEnd(): void {
    this.downstream.endTunnel();
  }

  private forgetTunnel(): void {
    this.host.tunnels.delete(this);
    this.frames = undefined;
  }

  private endTunnel(): void {
    this.upstream = undefined;
    const nowMs = performance.now();
    this.endAttempt(nowMs, String(SWITCHING), false);
    this.finish(nowMs);
    this.downstream.endTunnel(true);
  }
}

function overloaded(waitedMs: number): LocalAnswer {
  const detail = `this proxy has more work than its core can do: the request had waited ${Math.round(waitedMs)} ms (--max-queue-time)`;
  return { status: 503, code: 'overloaded', detail };
}

function resetAnswer({ error, resetCode }: UpstreamFailure, upstream: Upstream): LocalAnswer {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const why = code ?? error?.message;
  const broke = why === undefined ? 'closed the connection' : `broke the connection (${why})`;
  const how = resetCode < 0 ? broke : `reset the stream (HTTP/2 error ${resetCode})`;
  const when = upstream.answered ? 'in the middle of its response' : 'before it answered';
  return { status: 502, code: 'upstream-reset', detail: `the upstream ${how} ${when}` };
}

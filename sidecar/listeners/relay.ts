import type { Cluster } from '../balancing/cluster.ts';
import { Exchange, type ListenerKind, type LocalAnswer } from '../exchange.ts';
import { LATER } from '../filters/filter.ts';
import { type AttemptFailure, retryCondition } from '../filters/retry.ts';
import type { MessageProblem } from '../http/message-problem.ts';
import type { ClientConnection, ResponseHandler } from '../http1/client-connection.ts';
import { forwardedFields } from '../http1/forwarded-head.ts';
import { CHUNKED, type Head, NO_BODY, UNTIL_CLOSE } from '../http1/head.ts';
import type { RequestHandler, ServerConnection } from '../http1/server-connection.ts';
import { isAnswer, isPending, type Pending, type Plan } from '../routing/plan.ts';
import type { Attempt } from '../telemetry/explanation.ts';
import { type Timed, type TimerWheel, unarmed } from '../transport/timer-wheel.ts';
import type { ConnectFailure, ConnectionWaiter, Endpoint } from '../upstream/endpoint.ts';
import { localResponse } from './local-response.ts';
import { isRequestId, newRequestId } from './request-id.ts';

/** What a listener gives to the relays of its connections. */
export interface RelayHost {
  readonly kind: ListenerKind;
  readonly wheel: TimerWheel;
  /** Whether callers are told the words of a reason, or its code only. */
  readonly tellsAll: boolean;
  /** A request id that a caller sent is kept. */
  readonly trustsRequestId: boolean;
  /** Routes a request: its plan, an answer, or a wait for configuration. */
  plan(exchange: Exchange): Plan | Pending | LocalAnswer;
  /** Header lines for the upstream that this kind of listener adds, each with its CRLF. */
  addedFields(exchange: Exchange): string;
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

const NO_ATTEMPTS_LEFT = 0;

/**
 * Carries the requests of one downstream connection to upstreams, one after the other: route, filters,
 * endpoint, attempts, response, record. It is called by events and never waits.
 */
export class Relay implements RequestHandler, ResponseHandler, ConnectionWaiter, Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  readonly exchange: Exchange;
  private readonly host: RelayHost;
  private readonly server: ServerConnection;
  private phase = IDLE;
  private plan: Plan | undefined = undefined;
  private cluster: Cluster | undefined = undefined;
  private endpoint: Endpoint | undefined = undefined;
  private upstream: ClientConnection | undefined = undefined;
  private cancelWait: (() => void) | undefined = undefined;
  private nextFilter = 0;
  private requestText = '';
  private upgrading = false;
  /** The request has a body, and some of it was passed on: the request cannot be made again. */
  private bodySent = false;
  private requestEnded = false;
  private retriesLeft = NO_ATTEMPTS_LEFT;
  private attemptStartMs = 0;
  private attempt: Attempt | undefined = undefined;
  private latencyMs = 0;
  private tryDeadlineMs = 0;
  private encode = false;
  private closeAfter = false;
  /** Body bytes that came before an upstream was there; at most one read, then the client is paused. */
  private early: Buffer[] = [];
  private clientHeld = false;

  constructor(host: RelayHost, server: ServerConnection) {
    this.host = host;
    this.server = server;
    this.exchange = new Exchange(host.kind, server.parser.head);
    Object.assign(this, unarmed());
  }

  // --- the request comes ---

  onRequest(head: Head): void {
    const { exchange } = this;
    exchange.begin(head, performance.now());
    this.requestEnded = false;
    this.bodySent = false;
    this.plan = undefined;
    this.takeRequestId(head);
    this.route();
  }

  private takeRequestId(head: Head): void {
    const { exchange, host } = this;
    const given = head.requestIdIndex < 0 ? '' : head.value(head.requestIdIndex);
    if (given !== '' && host.trustsRequestId && isRequestId(given)) {
      exchange.id = given;
      return;
    }
    exchange.id = newRequestId();
    if (given !== '') head.remove('x-request-id');
    exchange.requestFields = `x-request-id: ${exchange.id}\r\n`;
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
    this.requestText = this.writeRequest(exchange.head);
    if (plan.timeoutMs > 0) this.host.wheel.arm(this, plan.timeoutMs);
    this.startAttempt(cluster, exchange.startMs);
  }

  /** The whole request head as it goes to the upstream: every attempt sends the same. */
  private writeRequest(head: Head): string {
    const { exchange } = this;
    const added = exchange.requestFields + this.host.addedFields(exchange);
    this.upgrading = isUpgrade(head);
    const upgrade = this.upgrading
      ? `connection: upgrade\r\nupgrade: ${head.value(head.upgradeIndex)}\r\n`
      : '';
    const line = `${exchange.method} ${exchange.target} HTTP/1.1\r\n`;
    const fields = forwardedFields(head);
    // HTTP/1.0 may come without Host, which HTTP/1.1 must have.
    const hostField = head.hostIndex < 0 && !/^host:/im.test(added) ? 'host: \r\n' : '';
    return `${line}${hostField}${fields}${added}${upgrade}\r\n`;
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
    const connection = endpoint.acquire(this);
    if (connection !== undefined) this.sendOn(connection);
    else if (this.phase === CONNECTING) this.holdClient();
  }

  /** The nearer of the whole request's and this attempt's deadline is the one that is armed. */
  private armTry(): void {
    const plan = this.plan as Plan; // an attempt has one
    this.tryDeadlineMs = 0;
    if (plan.tryTimeoutMs === 0) return;
    this.tryDeadlineMs = this.attemptStartMs + plan.tryTimeoutMs;
    const whole = plan.timeoutMs > 0 ? this.exchange.startMs + plan.timeoutMs : Number.POSITIVE_INFINITY;
    const until = Math.min(whole, this.tryDeadlineMs) - performance.now();
    this.host.wheel.arm(this, Math.max(1, until));
  }

  onConnection(connection: ClientConnection): void {
    if (this.phase !== CONNECTING) return;
    if (this.attempt !== undefined) this.attempt.connectionReused = connection.requests > 0;
    this.sendOn(connection);
  }

  private sendOn(connection: ClientConnection): void {
    this.phase = SENT;
    this.upstream = connection;
    const { exchange, server } = this;
    connection.send(this.requestText, this, exchange.method, this.upgrading, exchange.head.minor === 0);
    for (const bytes of this.early) {
      this.bodySent = true;
      connection.requestData(undefined, bytes, 0, bytes.length);
    }
    this.early.length = 0;
    if (this.requestEnded) connection.requestEnd();
    // While the client's bytes are being read, what follows the head may still join it in one write.
    else if (!server.reading) connection.flush();
    if (this.clientHeld) {
      this.clientHeld = false;
      server.resumeRequest();
    }
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
    this.endAttempt(nowMs, otherwise.code, true);
    this.upstream = undefined;
    const replayable = !this.bodySent;
    const condition = retryable ? this.allowRetry(failure, replayable, nowMs) : undefined;
    const { cluster } = this;
    if (condition === undefined || cluster === undefined) {
      this.answer(otherwise);
      return;
    }
    this.noteRetry(condition);
    this.startAttempt(cluster, nowMs);
  }

  private allowRetry(failure: AttemptFailure, replayable: boolean, nowMs: number): string | undefined {
    const plan = this.plan as Plan; // an attempt has one
    if (this.retriesLeft <= 0) return undefined;
    const condition = retryCondition(plan.settings, failure, this.exchange.method, replayable);
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
    if (upstream !== undefined) {
      this.bodySent = true;
      if (!upstream.requestData(this.server.transport, bytes, start, end)) this.server.pauseRequest();
    } else if (this.phase === CONNECTING || this.phase === HELD) {
      this.early.push(Buffer.from(bytes.subarray(start, end)));
    }
  }

  onRequestEnd(): void {
    this.requestEnded = true;
    this.upstream?.requestEnd();
  }

  onRequestFlush(): void {
    this.upstream?.flush();
  }

  onRequestWritable(): void {
    this.server.resumeRequest();
  }

  /** Nobody takes the request's body yet. */
  private holdClient(): void {
    if (this.requestEnded || this.exchange.head.framing === NO_BODY) return;
    this.clientHeld = true;
    this.server.pauseRequest();
  }

  // --- the response ---

  onInformational(head: Head): void {
    // HTTP/1.0 knows no interim responses (RFC 9110 section 15.2).
    if (this.exchange.head.minor === 1)
      this.server.writeNow(`HTTP/1.1${head.text.slice(8, head.fieldsStart)}${forwardedFields(head)}\r\n`);
  }

  onResponse(head: Head): void {
    const nowMs = performance.now();
    const { status } = head;
    this.latencyMs = nowMs - this.attemptStartMs;
    if (status >= 500 && this.retryStatus(status, nowMs)) return;
    this.tryDeadlineMs = 0;
    const { exchange } = this;
    exchange.status = status;
    const plan = this.plan as Plan; // an upstream answers a planned request
    for (const filter of plan.chain.onResponse) filter.onResponse(exchange, head);
    this.phase = status === 101 ? TUNNEL : RESPONDING;
    this.server.responseHead(this.writeResponse(head));
    if (status === 101) this.openTunnel();
  }

  /** Tries again instead of passing on a 5xx, if the policy wants it. */
  private retryStatus(status: number, nowMs: number): boolean {
    const failure: AttemptFailure = { kind: 'status', status, stale: false };
    const { cluster, upstream } = this;
    if (cluster === undefined || !this.requestEnded) return false;
    const condition = this.allowRetry(failure, !this.bodySent, nowMs);
    if (condition === undefined) return false;
    this.endAttempt(nowMs, String(status), true);
    this.upstream = undefined;
    upstream?.discard();
    this.noteRetry(condition);
    this.startAttempt(cluster, nowMs);
    return true;
  }

  private writeResponse(head: Head): string {
    const request = this.exchange.head;
    this.encode = false;
    this.closeAfter = false;
    let connection = '';
    if (head.status === 101) {
      connection = `connection: upgrade\r\nupgrade: ${head.upgradeIndex < 0 ? '' : head.value(head.upgradeIndex)}\r\n`;
    } else {
      connection = this.bodyFields(head, request);
    }
    const line = `HTTP/1.1${head.text.slice(8, head.fieldsStart)}`;
    const told = this.exchange.attempts.length > 1 ? this.retriedFields(head) : '';
    return `${line}${forwardedFields(head)}${this.exchange.responseFields}${told}${connection}\r\n`;
  }

  /** A response that a retry brought says so, and by what name to ask for more. */
  private retriedFields(head: Head): string {
    const { exchange, host } = this;
    if (!host.tellsAll) return '';
    const { policies } = exchange;
    const why = policies
      .filter(({ policy, decision }) => policy === 'retries' && decision === 'retried')
      .at(-1);
    const id = head.find('x-request-id', 0) < 0 ? `x-request-id: ${exchange.id}\r\n` : '';
    return `tulle-retried: ${why?.detail ?? ''}\r\n${id}`;
  }

  /** Frames the body for this client, and says whether the connection stays. */
  private bodyFields(head: Head, request: Head): string {
    let fields = '';
    if (head.framing === UNTIL_CLOSE && request.minor === 1) {
      this.encode = true;
      fields = 'transfer-encoding: chunked\r\n';
    } else if (request.minor === 0 && (head.framing === UNTIL_CLOSE || head.framing === CHUNKED)) {
      // HTTP/1.0 knows no chunks: the end of the connection ends the body.
      head.remove('transfer-encoding');
      this.closeAfter = true;
    }
    if (this.closeAfter || this.server.willClose) return `${fields}connection: close\r\n`;
    return request.minor === 0 ? `${fields}connection: keep-alive\r\n` : fields;
  }

  onResponseData(bytes: Buffer, start: number, end: number): void {
    if (this.phase !== RESPONDING && this.phase !== TUNNEL) return;
    this.exchange.responseBytes += end - start;
    const source = this.upstream?.transport;
    const ready = this.encode
      ? this.writeChunk(bytes, start, end)
      : this.server.responseData(source, bytes, start, end);
    if (!ready) source?.pause();
  }

  private writeChunk(bytes: Buffer, start: number, end: number): boolean {
    const { socket } = this.server.transport;
    socket.cork();
    this.server.responseText(`${(end - start).toString(16)}\r\n`);
    this.server.responseData(this.upstream?.transport, bytes, start, end);
    const ready = this.server.responseText('\r\n');
    socket.uncork();
    return ready;
  }

  onResponseFlush(): void {
    if (this.phase === RESPONDING && !this.server.flush()) this.upstream?.transport.pause();
  }

  onResponseWritable(): void {
    this.upstream?.transport.resume();
  }

  onResponseEnd(): void {
    if (this.phase !== RESPONDING) return;
    if (this.encode) this.server.responseText('0\r\n\r\n');
    this.upstream = undefined;
    const nowMs = performance.now();
    const { exchange } = this;
    this.endAttempt(nowMs, String(exchange.status), exchange.status >= 500);
    this.finish(nowMs);
    this.server.responseEnd(this.closeAfter);
  }

  onResponseFailed(problem: MessageProblem | undefined, error: Error | undefined): void {
    const { upstream } = this;
    if (upstream === undefined) return;
    if (this.phase === TUNNEL) {
      this.endTunnel();
      return;
    }
    const stale = !upstream.answered && upstream.requests > 1;
    const answer = problem ?? resetAnswer(error, upstream);
    if (this.phase === SENT) {
      this.attemptFailed(
        { kind: 'reset', status: 0, stale: stale && problem === undefined },
        problem === undefined,
        answer,
      );
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
    const whole = plan.timeoutMs > 0 && nowMs >= this.exchange.startMs + plan.timeoutMs;
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
      if (plan.timeoutMs > 0)
        this.host.wheel.arm(this, Math.max(1, this.exchange.startMs + plan.timeoutMs - nowMs));
      return;
    }
    this.fail({
      status: 504,
      code: 'request-timeout',
      detail: `${plan.service} did not finish within timeout ${plan.timeoutMs} ms`,
    });
  }

  onRefused(problem: MessageProblem): void {
    const { exchange } = this;
    exchange.begin(this.server.parser.head, performance.now());
    exchange.method = 'INVALID';
    exchange.path = '';
    exchange.id = newRequestId();
    this.plan = undefined;
    this.answer(problem);
  }

  onRequestAborted(problem: MessageProblem): void {
    if (this.phase === IDLE) return;
    this.fail(problem);
  }

  onDisconnected(): void {
    if (this.phase === IDLE) return;
    if (this.phase !== TUNNEL) {
      this.exchange.reason = 'client-closed';
      this.exchange.detail = 'the client closed its connection before the response was complete';
      if (this.exchange.status === 0) this.exchange.status = 499;
    }
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
    this.exchange.reason = answer.code;
    this.exchange.detail = answer.detail;
    this.finish(performance.now());
    this.server.abort();
  }

  /** Makes the response here. */
  answer(answer: LocalAnswer): void {
    const { exchange } = this;
    exchange.status = answer.status;
    exchange.reason = answer.code;
    exchange.detail = answer.detail;
    this.dropUpstream();
    this.phase = RESPONDING;
    // A body that is still to come would be read as the next request: the connection ends (RFC 9112 section 9.3).
    const close = this.server.willClose || this.server.readsBody;
    this.server.responseHead(localResponse(exchange, answer, close, this.host.tellsAll));
    this.finish(performance.now());
    this.server.responseEnd(close);
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
    this.requestText = '';
    this.early.length = 0;
    this.clientHeld = false;
    if (plan !== undefined) for (const filter of plan.chain.onEnd) filter.onEnd(exchange);
    this.host.record(exchange, plan, nowMs);
  }

  // --- tunnels ---

  private openTunnel(): void {
    if (this.wheelSlot >= 0) this.host.wheel.disarm(this);
    this.server.tunnel();
  }

  onTunnelEnd(): void {
    this.upstream?.transport.end();
  }

  onUpstreamTunnelEnd(): void {
    this.server.transport.end();
  }

  private endTunnel(): void {
    this.upstream = undefined;
    const nowMs = performance.now();
    this.endAttempt(nowMs, '101', false);
    this.finish(nowMs);
    this.server.transport.end();
  }
}

/** An upgrade is passed on, but for h2c, which prior knowledge and ALPN replaced (RFC 9113 section 3.1). */
function isUpgrade(head: Head): boolean {
  if (head.upgradeIndex < 0 || !head.connectionUpgrade || head.minor === 0 || head.framing !== NO_BODY)
    return false;
  return !/\bh2c?\b/i.test(head.value(head.upgradeIndex));
}

function resetAnswer(error: Error | undefined, upstream: ClientConnection): LocalAnswer {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const how = code === undefined ? 'closed the connection' : `broke the connection (${code})`;
  const when = upstream.answered ? 'in the middle of its response' : 'before it answered';
  return { status: 502, code: 'upstream-reset', detail: `the upstream ${how} ${when}` };
}

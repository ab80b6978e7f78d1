import type { Cluster } from '../balancing/cluster.ts';
import { Exchange, type ListenerKind, type LocalAnswer } from '../exchange.ts';
import { LATER } from '../filters/filter.ts';
import { retryCondition } from '../filters/retry.ts';
import type { Caller, Verdict } from '../filters/verdict.ts';
import { Head } from '../http1/head.ts';
import type { Log } from '../log.ts';
import { isAnswer, isPending, type Pending, type Plan, retryBudgetOf } from '../routing/plan.ts';
import { detectProtocol } from '../tcp/detect.ts';
import { type ProxyHeader, writeProxyHeader } from '../tcp/proxy-header.ts';
import { Splice, type SpliceEnd, type SpliceOwner } from '../tcp/splice.ts';
import type { EdgeStats } from '../telemetry/edge-stats.ts';
import type { Recorder } from '../telemetry/recorder.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { Transport, TransportReader } from '../transport/transport.ts';
import type { ConnectFailure } from '../upstream/connect-attempt.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { StreamWaiter } from '../upstream/stream-connect.ts';
import { pickUntried } from './attempts.ts';
import type { Connections } from './connections.ts';
import { newRequestId } from './request-id.ts';

/** What a listener gives to the relays of its opaque connections. */
export interface OpaqueHost {
  readonly kind: ListenerKind;
  readonly wheel: TimerWheel;
  /** How long nothing may move, in ms; 0: for ever. */
  readonly idleMs: number;
  readonly connections: Connections;
  readonly recorder: Recorder;
  readonly log: Log;
  /** What the policies of the workload say of a caller; the last verdict may refuse it. */
  admit(caller: Caller): readonly Verdict[];
  /** The port of a service, for the sidecar at the other end. */
  portOf(service: string): number;
}

/** A connection whose bytes are not looked at. */
export interface OpaqueConnection {
  readonly client: Transport;
  /** What was read of it already; nobody else has these bytes. */
  readonly first: Buffer;
  /** Where it goes. */
  plan(exchange: Exchange): Plan | Pending | LocalAnswer;
  /** Who calls whom, as far as it is known; IP and port of the client's socket are. */
  describe?(exchange: Exchange): void;
}

/** An opaque connection has no head. */
const NO_HEAD = new Head(0);

/** Carries one opaque connection: policies, endpoint, connect with retries, splice, record. */
export function relayOpaque(host: OpaqueHost, connection: OpaqueConnection): void {
  new OpaqueRelay(host, connection).start();
}

class OpaqueRelay implements TransportReader, StreamWaiter, SpliceOwner {
  private readonly host: OpaqueHost;
  private readonly client: Transport;
  private readonly connection: OpaqueConnection;
  private readonly exchange: Exchange;
  private first: Buffer;
  private plan: Plan | undefined = undefined;
  private cluster: Cluster | undefined = undefined;
  private endpoint: Endpoint | undefined = undefined;
  private stats: EdgeStats | undefined = undefined;
  private upstream: Transport | undefined = undefined;
  private retriesLeft = 0;
  private attemptStartMs = 0;
  private latencyMs = 0;
  /** Gives up what is under way: a wait for configuration, a connect. */
  private giveUp: (() => void) | undefined = undefined;
  private over = false;
  /** Ended here by a drain: nobody's fault. */
  private cut = false;
  private draining = false;

  constructor(host: OpaqueHost, connection: OpaqueConnection) {
    this.host = host;
    this.connection = connection;
    this.client = connection.client;
    this.first = connection.first;
    const exchange = new Exchange(host.kind, NO_HEAD);
    exchange.begin(NO_HEAD, performance.now());
    exchange.id = newRequestId();
    exchange.method = 'TCP';
    exchange.peerAddress = addressOf(this.client.socket.remoteAddress, this.client.socket.remotePort);
    connection.describe?.(exchange);
    this.exchange = exchange;
  }

  /** What the client says meanwhile stays in the kernel. */
  start(): void {
    const { client, host } = this;
    client.reader = this;
    client.pause();
    host.connections.addTunnel({
      destroy: () => this.destroy(),
      drain: () => this.drain(),
      once: (event, listener) => client.socket.once(event, listener),
    });
    this.route();
  }

  private route(): void {
    const planned = this.connection.plan(this.exchange);
    if (isPending(planned)) {
      this.giveUp = planned.wait(() => this.route());
      return;
    }
    if (isAnswer(planned)) {
      this.fail(planned);
      return;
    }
    this.plan = planned;
    const { exchange } = this;
    exchange.route = planned.route;
    exchange.routeWhy = planned.why;
    exchange.service = planned.service;
    for (const { note, answer } of this.host.admit(exchange)) {
      exchange.policies.push(note);
      if (answer !== undefined) {
        this.fail(answer);
        return;
      }
    }
    this.judge(planned, 0);
  }

  /** What counts requests counts connections here. */
  private judge(plan: Plan, from: number): void {
    const filters = plan.connectionChain?.onRequest ?? [];
    for (const [index, filter] of filters.slice(from).entries()) {
      const verdict = filter.onRequest(this.exchange, {
        resume: () => this.judge(plan, from + index + 1),
        answer: (answer) => this.fail(answer),
      });
      if (verdict === LATER) return;
      if (verdict !== undefined) {
        this.fail(verdict);
        return;
      }
    }
    this.choose(plan);
  }

  private choose(plan: Plan): void {
    const cluster = plan.backend();
    if (isPending(cluster)) {
      this.giveUp = cluster.wait(() => this.choose(plan));
      return;
    }
    if (isAnswer(cluster)) {
      this.fail(cluster);
      return;
    }
    this.cluster = cluster;
    this.exchange.service = cluster.service;
    retryBudgetOf(plan, cluster.service).countRequest(this.exchange.startMs);
    this.retriesLeft = plan.settings.retries.attempts;
    this.connect(cluster);
  }

  private connect(cluster: Cluster): void {
    const { exchange, host } = this;
    const endpoint = pickUntried(cluster, exchange, this.endpoint);
    if (endpoint === undefined) {
      this.endpoint = undefined;
      const detail = `${cluster.service} has no endpoint that is ready`;
      this.fail({ status: 503, code: 'no-endpoint', detail });
      return;
    }
    this.endpoint = endpoint;
    if (host.kind !== 'inbound') exchange.mtls = endpoint.mtls;
    const nowMs = performance.now();
    this.attemptStartMs = nowMs;
    cluster.started(endpoint, nowMs);
    exchange.attempts.push({
      endpoint: endpoint.address,
      startMs: nowMs - exchange.startMs,
      durationMs: 0,
      result: '',
      connectionReused: false,
    });
    this.giveUp = endpoint.openStream(this, detectProtocol(this.first) === 'tls');
  }

  onStreamFailed(failure: ConnectFailure): void {
    if (this.over) return;
    this.endAttempt(failure.code);
    const { cluster, endpoint } = this;
    if (endpoint !== undefined) this.releaseEndpoint(endpoint, failure.code !== 'pool-full');
    if (cluster !== undefined && failure.code !== 'pool-full' && this.mayRetry()) this.connect(cluster);
    else this.fail({ status: 503, ...failure });
  }

  /** Nothing was sent to anybody: another connect is as good as the first. */
  private mayRetry(): boolean {
    const { plan, exchange } = this;
    if (plan === undefined || this.retriesLeft <= 0) return false;
    const { settings } = plan;
    const failure = { kind: 'connect', status: 0, stale: false } as const;
    if (retryCondition(settings, failure, exchange.method, true) === undefined) return false;
    if (!retryBudgetOf(plan, exchange.service).tryRetry(performance.now())) {
      exchange.note('retry-budget', 'refused', `the retry budget of ${exchange.service} is used up`);
      return false;
    }
    const { attempts } = settings.retries;
    this.retriesLeft--;
    exchange.note('retries', 'retried', `on connect: retry ${attempts - this.retriesLeft} of ${attempts}`);
    return true;
  }

  private endAttempt(result: string): void {
    const attempt = this.exchange.attempts.at(-1);
    this.latencyMs = performance.now() - this.attemptStartMs;
    if (attempt === undefined) return;
    attempt.durationMs = this.latencyMs;
    attempt.result = result;
  }

  private releaseEndpoint(endpoint: Endpoint, failed: boolean): void {
    const { cluster, exchange, latencyMs, attemptStartMs } = this;
    const result = exchange.attempts.at(-1)?.result ?? '';
    // One that broke before the server said anything is as good as none.
    const cause = result === 'connected' && exchange.responseBytes === 0 ? 'upstream-reset' : result;
    const nowMs = performance.now();
    const ejected = cluster?.finished(endpoint, nowMs, latencyMs, failed, cause, attemptStartMs);
    if (ejected !== undefined) exchange.note('circuit-breaker', 'ejected', ejected);
  }

  onStream(upstream: Transport): void {
    const { host, client, exchange, first } = this;
    this.giveUp = undefined;
    this.endAttempt('connected');
    if (this.endpoint !== undefined) this.cluster?.answered(this.endpoint, this.attemptStartMs);
    this.upstream = upstream;
    const start = this.endpoint?.mtls ? Buffer.concat([writeProxyHeader(this.header()), first]) : first;
    if (start.length > 0) upstream.write(start);
    const stats = host.recorder.connectionOpened(exchange);
    this.stats = stats;
    this.first = NOTHING;
    this.onMoved(true, first.length);
    new Splice(client, upstream, this, host.wheel, host.idleMs);
  }

  private header(): ProxyHeader {
    const { exchange, host, client } = this;
    const { localAddress, localPort } = client.socket;
    return {
      service: exchange.service,
      port: host.portOf(exchange.service),
      source: exchange.peerAddress,
      destination: addressOf(localAddress, localPort),
    };
  }

  onMoved(fromClient: boolean, bytes: number): void {
    const { exchange } = this;
    const stats = this.stats as EdgeStats; // onStream set it
    if (fromClient) {
      exchange.requestBytes += bytes;
      stats.tcpReceivedBytes += bytes;
    } else {
      if (exchange.responseBytes === 0) this.serverSpoke();
      exchange.responseBytes += bytes;
      stats.tcpSentBytes += bytes;
    }
  }

  /** Behind a sidecar a connection says nothing yet of the application. */
  private serverSpoke(): void {
    if (this.endpoint !== undefined)
      this.cluster?.succeeded(this.endpoint, this.attemptStartMs, performance.now());
  }

  onSpliceEnd(end: SpliceEnd, error: Error | undefined): void {
    if (!this.cut) this.tellEnd(end, (error as NodeJS.ErrnoException | undefined)?.code ?? 'closed');
    if (this.endpoint !== undefined) this.releaseEndpoint(this.endpoint, end === 'upstream-broke');
    this.finish();
  }

  private tellEnd(end: SpliceEnd, how: string): void {
    const { exchange, host, endpoint } = this;
    if (end === 'idle') {
      exchange.reason = 'tcp-idle';
      exchange.detail = `nothing moved for ${host.idleMs} ms (--tcp-idle-timeout)`;
    } else if (end === 'client-broke') {
      exchange.reason = 'client-closed';
      exchange.detail = `the client broke off its connection (${how})`;
    } else if (end === 'upstream-broke') {
      exchange.reason = 'upstream-reset';
      exchange.detail = `${endpoint?.address} broke off its connection (${how})`;
    }
  }

  /** The client gets a reset: it must not take this for the end of what it asked. */
  private fail(answer: LocalAnswer): void {
    if (this.over) return;
    const { exchange, host } = this;
    exchange.reason = answer.code;
    exchange.detail = answer.detail;
    const { id, peer, peerAddress, service } = exchange;
    host.log.warn(
      { id, listener: host.kind, peer, peerAddress, service, reason: answer.code, detail: answer.detail },
      'an opaque connection was refused',
    );
    this.finish();
    this.client.reset();
  }

  private finish(): void {
    this.over = true;
    this.giveUp = undefined;
    for (const filter of this.plan?.connectionChain?.onEnd ?? []) filter.onEnd(this.exchange);
    this.host.recorder.connectionClosed(this.exchange, this.stats, performance.now());
  }

  /** Whoever has ended before there was anybody to talk to is not waited for: an application that is gone waits for nothing. */
  private drain(): void {
    if (this.over || this.upstream !== undefined) return;
    this.draining = true;
    this.client.resume();
  }

  /** Cuts it, as a drain does at its end. */
  private destroy(): void {
    this.cut = true;
    this.client.reset();
    this.upstream?.reset();
  }

  onBytes(bytes: Buffer, start: number, end: number): void {
    // A paused TLS socket may still have had some.
    this.first = Buffer.concat([this.first, bytes.subarray(start, end)]);
    if (this.first.length > MAX_FIRST) this.client.pause();
  }

  onEnd(): void {
    if (this.draining) this.client.destroy();
  }

  onDrain(): void {}

  /** The client went away before there was anybody to talk to. */
  onClosed(): void {
    if (this.over) return;
    this.giveUp?.();
    const { exchange, endpoint } = this;
    if (exchange.attempts.at(-1)?.result === '' && endpoint !== undefined) {
      this.endAttempt('cancelled');
      this.releaseEndpoint(endpoint, false);
    }
    if (!this.cut) {
      exchange.reason = 'client-closed';
      exchange.detail = 'the client closed its connection before one to the service was there';
    }
    this.finish();
  }
}

const NOTHING = Buffer.alloc(0);
/** What is read while a drain looks for the client's end. */
const MAX_FIRST = 64 * 1024;

/** HOST:PORT of a socket's end, IPv6 in brackets. */
export function addressOf(host: string | undefined, port: number | undefined): string {
  return host?.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

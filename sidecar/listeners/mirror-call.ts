import { isFault } from '../balancing/attempt-verdict.ts';
import type { Cluster } from '../balancing/cluster.ts';
import type { LocalAnswer } from '../exchange.ts';
import { isIdempotent } from '../filters/retry.ts';
import type { MessageHead } from '../http/message-head.ts';
import type { OutgoingRequest, ResponseHandler, Upstream, UpstreamFailure } from '../http/upstream.ts';
import type { Mirror } from '../routing/mirrors.ts';
import { isAnswer, isPending } from '../routing/plan.ts';
import type { MirrorResult } from '../telemetry/mirror-counts.ts';
import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { ConnectFailure } from '../upstream/connect-attempt.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ConnectionWaiter } from '../upstream/pool-use.ts';
import { brokenOff } from './attempts.ts';

/** Nobody waits for the answer; a server that never gives one must not be remembered for ever. */
const LONGEST_MS = 30_000;

/** A whole request to be sent to a mirror. */
export interface MirroredRequest {
  readonly request: OutgoingRequest;
  readonly body: readonly Buffer[];
  /** HTTP version for a service. */
  version(protocol: Cluster['protocol']): number;
}

/** Sends one copy to one mirror, as any request goes to a service, and throws the answer away. */
export class MirrorCall implements ConnectionWaiter, ResponseHandler, Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  private readonly mirror: Mirror;
  private readonly copy: MirroredRequest;
  private readonly wheel: TimerWheel;
  private readonly onOver: (result: MirrorResult) => void;
  private cluster: Cluster | undefined = undefined;
  private endpoint: Endpoint | undefined = undefined;
  private upstream: Upstream | undefined = undefined;
  private startMs = 0;
  /** Of the response's head, as balancers count it; 0: none came. */
  private latencyMs = 0;
  private status = 0;
  private repeated = false;
  private over = false;

  /** `onOver` is called once. */
  constructor(
    mirror: Mirror,
    copy: MirroredRequest,
    wheel: TimerWheel,
    onOver: (result: MirrorResult) => void,
  ) {
    this.mirror = mirror;
    this.copy = copy;
    this.wheel = wheel;
    this.onOver = onOver;
  }

  start(): void {
    const cluster = this.mirror.backend();
    if (isPending(cluster)) cluster.wait(() => this.send(this.mirror.backend()));
    else this.send(cluster);
  }

  private send(cluster: ReturnType<Mirror['backend']> | LocalAnswer): void {
    const ready = !isPending(cluster) && !isAnswer(cluster) && cluster.use.requests < cluster.limits.requests;
    const endpoint = ready ? cluster.pick(undefined) : undefined;
    if (!ready || endpoint === undefined) {
      this.finish('unavailable');
      return;
    }
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.startMs = performance.now();
    this.mirror.retryBudget().countRequest(this.startMs);
    cluster.use.requests++;
    cluster.started(endpoint, this.startMs);
    this.wheel.arm(this, LONGEST_MS);
    this.connect(endpoint, cluster);
  }

  private connect(endpoint: Endpoint, cluster: Cluster): void {
    const upstream = endpoint.acquire(this, this.copy.version(cluster.protocol));
    if (upstream !== undefined) this.onConnection(upstream);
  }

  onConnection(upstream: Upstream): void {
    if (this.over) {
      upstream.abandon();
      return;
    }
    this.upstream = upstream;
    upstream.send(this.copy.request, this);
    for (const bytes of this.copy.body)
      if (this.upstream === upstream) upstream.requestData(undefined, bytes, 0, bytes.length);
    if (this.upstream === upstream) upstream.requestEnd(undefined);
  }

  onConnectFailed({ code }: ConnectFailure): void {
    this.finish('failed', code, code !== 'pool-full');
  }

  onInformational(): void {}

  onResponse({ status }: MessageHead): void {
    this.status = status;
    this.latencyMs = performance.now() - this.startMs;
  }

  /** Read to its end all the same: a server whose caller goes away may stop its work. */
  onResponseData(): void {}
  onResponseFlush(): void {}
  onRequestWritable(): void {}

  onResponseEnd(): void {
    this.upstream = undefined;
    this.finish('answered');
  }

  onUpstreamTunnelEnd(): void {
    this.finish('answered');
  }

  onResponseFailed(failure: UpstreamFailure): void {
    const { upstream, endpoint, cluster } = this;
    this.upstream = undefined;
    if (upstream === undefined || endpoint === undefined || cluster === undefined) return;
    const { what, fault } = brokenOff(failure, upstream);
    const { problem, refused } = failure;
    // On a kept connection the server may have closed it meanwhile, or while it worked: as for any request (RFC 9112 9.3.1).
    const again =
      problem === undefined && (refused || (what.stale && isIdempotent(this.copy.request.method)));
    if (again && this.mayRepeat()) {
      this.repeated = true;
      this.connect(endpoint, cluster);
    } else {
      this.finish('failed', problem?.code ?? 'upstream-reset', fault);
    }
  }

  /** Once, and within the budget of the service, as a retry of anybody's. */
  private mayRepeat(): boolean {
    return !this.repeated && this.mirror.retryBudget().tryRetry(performance.now());
  }

  onDeadline(): void {
    this.finish('timed-out');
  }

  /** `fault`: by what the endpoint is to blame for. */
  private finish(result: MirrorResult, cause: string = result, fault = true): void {
    if (this.over) return;
    this.over = true;
    const { cluster, endpoint, upstream } = this;
    this.wheel.disarm(this);
    this.upstream = undefined;
    if (cluster !== undefined && endpoint !== undefined) {
      if (upstream === undefined) endpoint.cancel(this);
      upstream?.abandon();
      cluster.use.requests--;
      const nowMs = performance.now();
      const answered = result === 'answered';
      const failed = answered ? isFault(this.status, -1) : fault;
      const latencyMs = this.latencyMs > 0 ? this.latencyMs : nowMs - this.startMs;
      const told = answered ? String(this.status) : cause;
      cluster.finished(endpoint, nowMs, latencyMs, failed, told, this.startMs);
    }
    this.onOver(result);
  }
}

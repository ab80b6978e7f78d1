import type { HealthCheck } from '../../protocol/traffic-policy.ts';
import { VERSION } from '../../protocol/version.ts';
import { HTTP_2, HTTP_11 } from '../http/message-head.ts';
import { ownRequest } from '../http/own-request.ts';
import type { OutgoingRequest, Upstream, UpstreamFailure } from '../http/upstream.ts';
import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { ConnectFailure } from '../upstream/connect-attempt.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ConnectionWaiter } from '../upstream/pool-use.ts';
import { HEALTH_METHOD, healthCheckRequest } from './grpc-health.ts';
import { type HealthAnswer, HealthAnswerHandler, type HealthAnswerReader } from './health-answer.ts';
import { grpcVerdict, HEALTHY, type HealthVerdict, httpVerdict, unhealthy } from './health-verdict.ts';

/** What is asked of an endpoint. */
export interface HealthQuestion {
  readonly check: HealthCheck;
  /** `namespace/name`. */
  readonly service: string;
  /** HTTP_11 or HTTP_2: in which a check of the kind `http` is made. */
  readonly version: number;
}

/** Asks an endpoint once how it is, within the check's timeout. */
export class HealthProbe implements ConnectionWaiter, HealthAnswerReader, Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  private readonly question: HealthQuestion;
  private readonly pool: Endpoint;
  private readonly wheel: TimerWheel;
  private readonly onVerdict: (verdict: HealthVerdict) => void;
  private upstream: Upstream | undefined = undefined;
  private repeated = false;
  private over = false;

  /** `pool`: where its connection comes from and goes back to. `onVerdict` is called once, unless `cancel` is. */
  constructor(
    question: HealthQuestion,
    pool: Endpoint,
    wheel: TimerWheel,
    onVerdict: (verdict: HealthVerdict) => void,
  ) {
    this.question = question;
    this.pool = pool;
    this.wheel = wheel;
    this.onVerdict = onVerdict;
  }

  start(): void {
    this.wheel.arm(this, this.question.check.timeoutMs);
    this.connect();
  }

  private connect(): void {
    const { check, version } = this.question;
    const spoken = { grpc: HTTP_2, http: version, tcp: HTTP_11 }[check.kind];
    const upstream = this.pool.acquire(this, spoken);
    if (upstream !== undefined) this.onConnection(upstream);
  }

  onConnection(upstream: Upstream): void {
    this.upstream = upstream;
    if (this.over) this.letGo();
    else if (this.question.check.kind === 'tcp') this.finish(HEALTHY);
    else this.ask(upstream);
  }

  private ask(upstream: Upstream): void {
    const { kind, target } = this.question.check;
    upstream.send(this.request(), new HealthAnswerHandler(this));
    if (kind === 'grpc' && this.upstream === upstream) {
      const message = healthCheckRequest(target);
      upstream.requestData(undefined, message, 0, message.length);
    }
    if (this.upstream === upstream) upstream.requestEnd(undefined);
  }

  private request(): OutgoingRequest {
    const { check, service } = this.question;
    const [namespace, name] = service.split('/', 2);
    const fields = `host: ${name}.${namespace}\r\nuser-agent: tulle-health-check/${VERSION}\r\n`;
    if (check.kind === 'http') return ownRequest('GET', check.target, fields);
    return ownRequest('POST', HEALTH_METHOD, `${fields}content-type: application/grpc\r\nte: trailers\r\n`);
  }

  onAnswer(answer: HealthAnswer, whole: boolean): void {
    if (whole) this.upstream = undefined;
    this.finish(this.question.check.kind === 'grpc' ? grpcVerdict(answer) : httpVerdict(answer));
  }

  onAnswerFailed(failure: UpstreamFailure, begun: boolean): void {
    const { upstream } = this;
    this.upstream = undefined;
    // A kept connection that the server had closed already says nothing about the endpoint: a new one does.
    const kept = upstream !== undefined && upstream.requests > 1 && !begun;
    if (kept && !this.repeated && (!upstream.answered || failure.refused)) {
      this.repeated = true;
      this.connect();
    } else {
      this.finish(unhealthy(wordsOf(failure)));
    }
  }

  onConnectFailed({ detail }: ConnectFailure): void {
    this.finish(unhealthy(detail));
  }

  onDeadline(): void {
    const what = this.upstream === undefined ? 'no connection' : 'no answer';
    this.finish(unhealthy(`${what} within ${this.question.check.timeoutMs} ms`));
  }

  private finish(verdict: HealthVerdict): void {
    if (this.over) return;
    this.cancel();
    this.onVerdict(verdict);
  }

  cancel(): void {
    this.over = true;
    this.wheel.disarm(this);
    this.pool.cancel(this);
    this.letGo();
  }

  private letGo(): void {
    const { upstream } = this;
    this.upstream = undefined;
    upstream?.abandon();
  }
}

function wordsOf({ problem, error, refused, resetCode }: UpstreamFailure): string {
  if (problem !== undefined) return problem.detail;
  if (error !== undefined) return error.message;
  if (refused) return 'it refused the request';
  return resetCode >= 0 ? `it reset the stream (code ${resetCode})` : 'it closed without a whole answer';
}

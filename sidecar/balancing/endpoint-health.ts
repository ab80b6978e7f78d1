import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { HealthProbe, type HealthQuestion } from './health-probe.ts';
import type { HealthVerdict } from './health-verdict.ts';

/** Failures in a row that make an endpoint unhealthy; one success heals it. */
const FAILURES = 2;

/** Its own pool may hold a connection that is on its way out beside the one that is used. */
const CONNECTIONS = 2;

/** Told what a check finds, and asked whether it is worth while. */
export interface HealthObserver {
  /** The service is in use: unused ones are not probed. */
  inUse(): boolean;
  /** `endpoint.healthy` is another now. `why`: in words, '' when it is healthy. */
  onHealthChanged(endpoint: Endpoint, why: string): void;
  /** A healthy endpoint's answer is odd. */
  onOddAnswer(endpoint: Endpoint, words: string): void;
}

/** Probes one endpoint time and again, one probe at a time, and keeps what came of it. */
export class EndpointHealth implements Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  /** The last failure in words, and when it was (wall clock, ms). */
  lastFailure: { readonly words: string; readonly atMs: number } | undefined = undefined;
  readonly endpoint: Endpoint;
  private question: HealthQuestion;
  private readonly wheel: TimerWheel;
  private readonly observer: HealthObserver;
  private failures = 0;
  private probe: HealthProbe | undefined = undefined;
  private pool: Endpoint | undefined = undefined;

  constructor(endpoint: Endpoint, question: HealthQuestion, wheel: TimerWheel, observer: HealthObserver) {
    this.endpoint = endpoint;
    this.question = question;
    this.wheel = wheel;
    this.observer = observer;
    this.schedule();
  }

  /** Asks another question from now on. What is known of the endpoint holds until that is answered. */
  ask(question: HealthQuestion): void {
    this.question = question;
    this.stop();
    this.schedule();
  }

  /** By chance within one interval: sidecars that learn of it at the same time must not probe in step. */
  private schedule(): void {
    this.wheel.arm(this, Math.random() * this.question.check.everyMs);
  }

  onDeadline(): void {
    this.wheel.arm(this, this.question.check.everyMs);
    if (!this.observer.inUse()) this.stopProbing();
    else if (this.probe === undefined) this.start();
  }

  private start(): void {
    const { question, wheel } = this;
    this.pool ??= this.ownPool();
    this.probe = new HealthProbe(question, this.pool, wheel, (verdict) => this.judge(verdict));
    this.probe.start();
  }

  /** Probes take no place of a request's, and a connection is kept from one to the next. */
  private ownPool(): Endpoint {
    const { everyMs, timeoutMs } = this.question.check;
    return this.endpoint.apart({
      connections: CONNECTIONS,
      pending: 1,
      requests: 1,
      connectMs: timeoutMs,
      idleMs: everyMs * 2,
    });
  }

  private judge({ healthy, words }: HealthVerdict): void {
    this.probe = undefined;
    if (healthy) this.succeeded(words);
    else this.failed(words);
  }

  private succeeded(odd: string): void {
    this.failures = 0;
    if (odd !== '') this.observer.onOddAnswer(this.endpoint, odd);
    this.change(true, '');
  }

  private failed(words: string): void {
    this.failures++;
    this.lastFailure = { words, atMs: Date.now() };
    // The next probe does not trust the connection of this one.
    this.renew();
    if (this.failures >= FAILURES) this.change(false, words);
  }

  private change(healthy: boolean, why: string): void {
    if (this.endpoint.healthy === healthy) return;
    this.endpoint.healthy = healthy;
    this.observer.onHealthChanged(this.endpoint, why);
  }

  /** The next probe makes a connection of its own: with new credentials, say. */
  renew(): void {
    this.pool?.retire();
    this.pool = undefined;
  }

  private stopProbing(): void {
    this.probe?.cancel();
    this.probe = undefined;
    this.renew();
  }

  stop(): void {
    this.wheel.disarm(this);
    this.stopProbing();
  }
}

import { isDeepStrictEqual } from 'node:util';
import type { HealthCheck } from '../../protocol/traffic-policy.ts';
import type { Log } from '../log.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { EndpointHealth, type HealthObserver } from './endpoint-health.ts';
import type { HealthQuestion } from './health-probe.ts';

/** A service without a request for so long is not probed. */
const UNUSED_MS = 90_000;

interface HealthChecksParts {
  readonly service: string;
  readonly wheel: TimerWheel;
  readonly log: Log;
  /** Whether the service was used since the last call. */
  readonly wasUsed: () => boolean;
  /** An endpoint's `healthy` is another now. */
  readonly onChange: () => void;
}

/** The active checks of one service's endpoints. */
export class HealthChecks implements HealthObserver {
  private readonly parts: HealthChecksParts;
  private readonly running = new Map<Endpoint, EndpointHealth>();
  private question: HealthQuestion | undefined = undefined;
  private lastUsedMs = Number.NEGATIVE_INFINITY;
  private oddAnswerTold = false;

  constructor(parts: HealthChecksParts) {
    this.parts = parts;
  }

  /** Checks just these endpoints, by `check`. `version`: of HTTP. One that is checked like that already goes on. */
  update(endpoints: readonly Endpoint[], check: HealthCheck, version: number): void {
    const { service, wheel } = this.parts;
    const question = { check, service, version };
    const same = isDeepStrictEqual(question, this.question);
    this.question = question;
    const wanted = new Set(endpoints);
    for (const [endpoint, health] of this.running) if (!wanted.has(endpoint)) this.forget(endpoint, health);
    for (const endpoint of endpoints) {
      const health = this.running.get(endpoint);
      if (health === undefined)
        this.running.set(endpoint, new EndpointHealth(endpoint, question, wheel, this));
      else if (!same) health.ask(question);
    }
  }

  of(endpoint: Endpoint): EndpointHealth | undefined {
    return this.running.get(endpoint);
  }

  /** New credentials: probes do not go on over the connections of the old. */
  renew(): void {
    for (const health of this.running.values()) health.renew();
  }

  /** Ends all checks: no endpoint is unhealthy any more. */
  close(): void {
    for (const [endpoint, health] of this.running) this.forget(endpoint, health);
  }

  private forget(endpoint: Endpoint, health: EndpointHealth): void {
    health.stop();
    endpoint.healthy = true;
    this.running.delete(endpoint);
  }

  inUse(): boolean {
    const nowMs = performance.now();
    if (this.parts.wasUsed()) this.lastUsedMs = nowMs;
    return nowMs - this.lastUsedMs < UNUSED_MS;
  }

  onHealthChanged(endpoint: Endpoint, why: string): void {
    const { service, log, onChange } = this.parts;
    onChange();
    const { address } = endpoint;
    const details = { service, endpoint: address };
    if (endpoint.healthy) {
      log.info(details, `endpoint ${address} of ${service} is healthy again`);
      return;
    }
    const left = [...this.running.keys()].filter(({ healthy }) => healthy).length;
    const then = left === 0 ? '; no endpoint is healthy, so all get requests' : '';
    log.warn({ ...details, why }, `endpoint ${address} of ${service} is unhealthy: ${why}${then}`);
  }

  onOddAnswer({ address }: Endpoint, words: string): void {
    const { service, log } = this.parts;
    if (this.oddAnswerTold) return;
    this.oddAnswerTold = true;
    const then = 'an endpoint that answers so counts as healthy';
    log.warn({ service, endpoint: address }, `health check of ${service}: ${address}: ${words}; ${then}`);
  }
}

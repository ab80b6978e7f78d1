import type { Balancer } from './balancer.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import { TwoChoices } from './two-choices.ts';

const DECAY_MS = 10_000;
/** A failure is told faster than it is answered: it must not make an endpoint look quick. */
const FAILURE_PENALTY = 10;
/** While no endpoint of the service was measured, only requests in flight count. */
const UNKNOWN_MS = 1;
/** Below this, an idle endpoint's estimate is used as it is. */
const IDLE_MS = 100;
/** Endpoints whose estimates differ by less are alike: what is left of chance must not decide for seconds. */
const ALIKE = 2;
/** So many peers are enough for a median. */
const MEDIAN_OF = 33;

/**
 * Power of two choices by peak EWMA latency times requests in flight (Finagle's and Linkerd's): a latency
 * above the estimate replaces it at once, one below it pulls it down over ten seconds. An endpoint that
 * is new starts from the median of its peers. Between endpoints that are about as quick only requests in
 * flight decide, so that equal ones share evenly at low load, too.
 */
export function p2cEwma(random: () => number): Balancer {
  return new PeakEwma(random);
}

class PeakEwma implements Balancer {
  private readonly choices: TwoChoices;
  private readonly scratch = new Float64Array(MEDIAN_OF);
  /** Time of the newest event. */
  private nowMs = 0;
  /** What a success takes lately: what failures are measured by. */
  private typicalMs = UNKNOWN_MS;

  constructor(random: () => number) {
    this.choices = new TwoChoices(random);
  }

  pick<E extends EndpointLoad>(endpoints: readonly E[], avoid?: E): E | undefined {
    if (endpoints.length < 2) return endpoints[0];
    const { choices } = this;
    choices.draw(endpoints, avoid);
    const one = endpoints[choices.first] as E; // both are below the length
    const two = endpoints[choices.second] as E;
    if (one.ewmaMs === 0 || two.ewmaMs === 0) this.introduce(endpoints, one, two);
    const oneMs = this.estimateMs(one);
    const twoMs = this.estimateMs(two);
    // Both were drawn by chance: the first is as good as the second where nothing tells them apart.
    if (oneMs < twoMs * ALIKE && twoMs < oneMs * ALIKE)
      return two.inFlight * one.weight < one.inFlight * two.weight ? two : one;
    const { mean } = choices;
    return twoMs * load(two, mean) < oneMs * load(one, mean) ? two : one;
  }

  started(endpoint: EndpointLoad, nowMs: number): void {
    this.nowMs = nowMs;
    endpoint.inFlight++;
  }

  finished(endpoint: EndpointLoad, nowMs: number, latencyMs: number, failed: boolean): void {
    this.nowMs = nowMs;
    endpoint.inFlight--;
    if (failed) {
      observe(endpoint, nowMs, Math.max(latencyMs, this.typicalMs) * FAILURE_PENALTY);
      return;
    }
    const sampleMs = Math.max(0.01, latencyMs);
    // The first answer tells of connecting and cold caches: it never makes an endpoint look slow.
    if (endpoint.proven || sampleMs < endpoint.ewmaMs) observe(endpoint, nowMs, sampleMs);
    endpoint.proven = true;
    this.typicalMs += (sampleMs - this.typicalMs) * 0.05;
  }

  private estimateMs(endpoint: EndpointLoad): number {
    const { ewmaMs } = endpoint;
    if (ewmaMs === 0) return UNKNOWN_MS;
    const idleMs = this.nowMs - endpoint.stampMs;
    // One that nobody asks becomes cheaper with time, so that it is tried again.
    return idleMs > IDLE_MS && endpoint.inFlight === 0 ? ewmaMs * Math.exp(-idleMs / DECAY_MS) : ewmaMs;
  }

  /** Gives those of the two that were never measured their peers' median, if there is one. */
  private introduce(endpoints: readonly EndpointLoad[], one: EndpointLoad, two: EndpointLoad): void {
    const medianMs = this.median(endpoints);
    if (medianMs === 0) return;
    if (one.ewmaMs === 0) begin(one, this.nowMs, medianMs);
    if (two.ewmaMs === 0) begin(two, this.nowMs, medianMs);
  }

  /** Of the estimates of some measured endpoints from a changing start on; 0 when none was measured. */
  private median(endpoints: readonly EndpointLoad[]): number {
    const { scratch } = this;
    let known = 0;
    const start = this.choices.first;
    const look = Math.min(endpoints.length, MEDIAN_OF * 8);
    for (let i = 0; i < look && known < MEDIAN_OF; i++) {
      const { ewmaMs } = endpoints[(start + i) % endpoints.length] as EndpointLoad; // below the length
      if (ewmaMs === 0) continue;
      let at = known++;
      for (; at > 0 && (scratch[at - 1] as number) > ewmaMs; at--) scratch[at] = scratch[at - 1] as number;
      scratch[at] = ewmaMs;
    }
    return known === 0 ? 0 : (scratch[known >> 1] as number);
  }
}

function load({ inFlight, weight }: EndpointLoad, meanWeight: number): number {
  return 1 + (inFlight * meanWeight) / weight;
}

function begin(endpoint: EndpointLoad, nowMs: number, ewmaMs: number): void {
  endpoint.ewmaMs = ewmaMs;
  endpoint.stampMs = nowMs;
}

function observe(endpoint: EndpointLoad, nowMs: number, sampleMs: number): void {
  const current = endpoint.ewmaMs;
  if (sampleMs > current) endpoint.ewmaMs = sampleMs;
  else {
    const keep = Math.exp(-Math.max(0, nowMs - endpoint.stampMs) / DECAY_MS);
    endpoint.ewmaMs = current * keep + sampleMs * (1 - keep);
  }
  endpoint.stampMs = nowMs;
}

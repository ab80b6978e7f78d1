import type { Balancer } from './balancer.ts';
import type { EndpointLoad } from './endpoint-load.ts';
import { cheaperOfTwo } from './two-choices.ts';

const DECAY_MS = 10_000;
/** A failure is told faster than it is answered: it must not make an endpoint look quick. */
const FAILURE_PENALTY = 4;
/** First guess while no endpoint of the service was measured yet. */
const UNKNOWN_MS = 1;

/**
 * Power of two choices by peak EWMA latency times requests in flight (Finagle, linkerd): a latency above
 * the average replaces it at once, one below it pulls it down over ten seconds.
 */
export function p2cEwma(random: () => number): Balancer {
  let now = 0;
  /** Average over the endpoints measured, for those that are new. */
  let typicalMs = UNKNOWN_MS;
  const cost = (endpoint: EndpointLoad): number => {
    const measured = endpoint.ewmaMs === 0 ? typicalMs : decayed(endpoint, now);
    return (measured * (endpoint.inFlight + 1)) / endpoint.weight;
  };
  return {
    pick: (endpoints, avoid) => cheaperOfTwo(endpoints, avoid, random, cost),
    started(endpoint, nowMs) {
      now = nowMs;
      endpoint.inFlight++;
    },
    finished(endpoint, nowMs, latencyMs, failed) {
      now = nowMs;
      endpoint.inFlight--;
      const sample = Math.max(0.01, failed ? Math.max(latencyMs, typicalMs) * FAILURE_PENALTY : latencyMs);
      observe(endpoint, nowMs, sample);
      if (!failed) typicalMs += (sample - typicalMs) * 0.05;
    },
  };
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

/** An endpoint that nobody asks becomes cheaper with time, so that it is tried again. */
function decayed(endpoint: EndpointLoad, nowMs: number): number {
  const idleMs = nowMs - endpoint.stampMs;
  return idleMs < 100 || endpoint.inFlight > 0 ? endpoint.ewmaMs : endpoint.ewmaMs * Math.exp(-idleMs / DECAY_MS);
}

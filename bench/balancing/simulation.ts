import type { BalanceStrategy } from '../../protocol/traffic-policy.ts';
import { type Balancer, createBalancer } from '../../sidecar/balancing/balancer.ts';
import { createEndpointLoad, type EndpointLoad } from '../../sidecar/balancing/endpoint-load.ts';
import { textHash } from '../../sidecar/http/text-hash.ts';
import { seeded } from '../../test/fixture/seeded.ts';

export const STRATEGIES: readonly BalanceStrategy[] = [
  'p2c-ewma',
  'least-request',
  'round-robin',
  'random',
  'ring-hash',
  'maglev',
];

/** What happens to a service of ten endpoints under load. */
export const SCENARIOS = ['all alike', 'one slow', 'one failing', 'churn'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface Outcome {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failedPercent: number;
  /** Requests of the endpoint that got most, in shares of the mean of all. */
  readonly most: number;
}

const ENDPOINTS = 10;
/** Requests that one endpoint works on at once; others wait for their turn. */
const WORKERS = 4;
const SERVICE_MS = 10;
/** Of 4 requests a ms that ten endpoints can serve. */
const ARRIVALS_PER_MS = 2.4;
const SLOWER = 5;
const FAILS_MS = 1;
/** One is replaced each so often; a new one is slow for a while. */
const CHURN_MS = 2_000;
const COLD_MS = 500;
const COLDER = 4;
const USERS = 5_000;
const DURATION_MS = 20_000;

interface Server {
  readonly load: EndpointLoad;
  readonly bornMs: number;
  slow: boolean;
  failing: boolean;
  served: number;
  /** When each worker is free. */
  readonly freeMs: number[];
}

interface Ending {
  readonly atMs: number;
  readonly server: Server;
  readonly startMs: number;
}

/**
 * One proxy that balances with the code that runs in it, and servers with queues of their own, event by event. No
 * retries, ejections or health checks: what a strategy does alone.
 */
export function simulate(strategy: BalanceStrategy, scenario: Scenario, seed = 1): Outcome {
  const chance = seeded(seed);
  const balancer = createBalancer({ strategy }, seeded(seed + 1));
  let born = 0;
  const start = (nowMs: number): Server => ({
    load: createEndpointLoad(`10.0.0.${born++}:80`),
    bornMs: nowMs,
    slow: false,
    failing: false,
    served: 0,
    freeMs: new Array<number>(WORKERS).fill(0),
  });
  const servers = Array.from({ length: ENDPOINTS }, () => start(-COLD_MS));
  const [odd] = servers;
  if (odd !== undefined) {
    odd.slow = scenario === 'one slow';
    odd.failing = scenario === 'one failing';
  }
  const gone: Server[] = [];
  let endpoints = servers.map(({ load }) => load);
  let endings: Ending[] = [];
  const latencies: number[] = [];
  let failed = 0;
  let nextChurnMs = CHURN_MS;
  for (let nowMs = 0; nowMs < DURATION_MS; nowMs += -Math.log(1 - chance()) / ARRIVALS_PER_MS) {
    endings = settle(endings, nowMs, balancer);
    if (scenario === 'churn' && nowMs >= nextChurnMs) {
      nextChurnMs += CHURN_MS;
      const oldest = servers.shift();
      if (oldest !== undefined) gone.push(oldest);
      servers.push(start(nowMs));
      endpoints = servers.map(({ load }) => load);
    }
    // A few users ask for much.
    const user = Math.floor(USERS * chance() ** 2);
    const picked = balancer.pick(endpoints, undefined, textHash(`user-${user}`));
    const server = servers.find(({ load }) => load === picked);
    if (server === undefined) throw new Error(`${strategy} picked none of the endpoints`);
    balancer.started(server.load, nowMs);
    const atMs = serve(server, nowMs, chance);
    endings.push({ atMs, server, startMs: nowMs });
    latencies.push(atMs - nowMs);
    if (server.failing) failed++;
  }
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
  const served = scenario === 'churn' ? gone.concat(servers).map(rateOf) : servers.map((one) => one.served);
  const mean = served.reduce((sum, one) => sum + one, 0) / served.length;
  return {
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    failedPercent: (100 * failed) / latencies.length,
    most: Math.max(...served) / mean,
  };
}

/** Lifetimes differ under churn: what counts is a request a time. */
function rateOf({ served, bornMs }: Server, index: number): number {
  const from = Math.max(0, bornMs);
  const to = Math.min(DURATION_MS, (index + 1) * CHURN_MS);
  return served / Math.max(CHURN_MS, to - from);
}

/** When the request is over. */
function serve(server: Server, nowMs: number, chance: () => number): number {
  server.served++;
  if (server.failing) return nowMs + FAILS_MS;
  const cold = nowMs - server.bornMs < COLD_MS ? COLDER : 1;
  const workMs = SERVICE_MS * (0.5 + chance()) * cold * (server.slow ? SLOWER : 1);
  let worker = 0;
  for (let one = 1; one < WORKERS; one++)
    if ((server.freeMs[one] ?? 0) < (server.freeMs[worker] ?? 0)) worker = one;
  const endMs = Math.max(nowMs, server.freeMs[worker] ?? 0) + workMs;
  server.freeMs[worker] = endMs;
  return endMs;
}

/** Tells the balancer of what is over by now, in order. Returns what is not. */
function settle(endings: readonly Ending[], nowMs: number, balancer: Balancer): Ending[] {
  const over = endings.filter(({ atMs }) => atMs <= nowMs).sort((a, b) => a.atMs - b.atMs);
  for (const { atMs, server, startMs } of over)
    balancer.finished(server.load, atMs, atMs - startMs, server.failing);
  return over.length === 0 ? [...endings] : endings.filter(({ atMs }) => atMs > nowMs);
}

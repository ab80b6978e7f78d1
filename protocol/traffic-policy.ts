import * as z from 'zod';
import { metadataSchema, targetRefSchema } from './metadata.ts';
import type { DirectResponse, Fault, Rewrite, Sticky } from './steering.ts';

export type RetryCondition =
  | 'connect'
  | 'reset'
  | 'refused-stream'
  /** Only by a route: annotations mean it by 504 and 5xx. */
  | 'try-timeout'
  | '5xx'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'internal'
  | 'resource-exhausted'
  | 'unavailable'
  | number;

export type BalanceStrategy =
  | 'p2c-ewma'
  | 'least-request'
  | 'round-robin'
  | 'ring-hash'
  | 'maglev'
  | 'random';

/** How the endpoints of a service share its requests; what is absent is off or as by default. */
export interface BalancePolicy {
  readonly strategy: BalanceStrategy;
  /** Of those that hash: `header:NAME`, `cookie:NAME`, `source` or `claim:NAME`. */
  readonly hashOn?: string;
  /** Of those that hash: most that an endpoint has in flight, in percent of its share of all. */
  readonly boundedPercent?: number;
  /** How long an endpoint takes to come to its full share, in ms. */
  readonly slowStartMs?: number;
  /** How many endpoints one proxy uses. */
  readonly subset?: number;
  /** Connections that are kept open to each endpoint. */
  readonly warm?: number;
  /** Endpoints of the own zone first. `off`: not even where Kubernetes hints at zones. */
  readonly zone?: 'prefer' | 'off';
  /** When a smaller share than this of all endpoints may be used, all are. */
  readonly panicPercent?: number;
}

/** One quota of a service (DESIGN section 6). */
export interface RateLimit {
  /**
   * `token-bucket`: GCRA. `sliding-window`: never more than `tokens` in any `perMs`. `sliding-estimate`: that by two
   * counters. `concurrency`: `tokens` requests in flight at once.
   */
  readonly algorithm: 'token-bucket' | 'sliding-window' | 'sliding-estimate' | 'concurrency';
  /** Above 0. */
  readonly tokens: number;
  /** In ms; of `concurrency` 0. */
  readonly perMs: number;
  /** Of `token-bucket` how many at once, else `tokens`. */
  readonly burst: number;
  /** What callers are told apart by: `client`, `ip`, `path`, `header:NAME`, `claim:NAME`, `api-key`; none: all together. */
  readonly by: readonly string[];
  /** `lease`: decided from tokens drawn before; `exact`: the store is asked for each request. */
  readonly mode: 'lease' | 'exact';
  /** When the store cannot be asked. `share`: quota / sidecars each. */
  readonly onOutage: 'share' | 'allow' | 'deny';
  /** Only counted, nobody is refused. */
  readonly dryRun: boolean;
}

interface CachePolicy {
  readonly mode: 'respect' | 'fixed';
  readonly ttlMs?: number;
  readonly staleMs?: number;
}

/** How the endpoints of a service are probed. Times in ms. */
export interface HealthCheck {
  readonly kind: 'grpc' | 'http' | 'tcp';
  /** gRPC: the service that is asked for, '' for the whole server. HTTP: path and query. TCP: ''. */
  readonly target: string;
  readonly everyMs: number;
  /** At most `everyMs`. */
  readonly timeoutMs: number;
}

/** When a failed attempt is made again. */
export interface RetryPolicy {
  readonly attempts: number;
  readonly on: readonly RetryCondition[];
  /** Methods of requests that may have run and still are sent again; undefined: those that are idempotent. */
  readonly methods?: readonly string[];
  /** Of the wait before a retry, in ms; undefined: 25 to 250. */
  readonly backoff?: { readonly baseMs: number; readonly capMs: number };
}

/** When a second attempt joins one that takes long. */
interface HedgePolicy {
  /** Of the service's recent latencies, from 0.5 to below 1. */
  readonly quantile: number;
  /** Methods of requests that may run twice; undefined: those that are idempotent. */
  readonly methods?: readonly string[];
}

/** When an endpoint that fails gets no requests for a while. Times in ms. */
export interface CircuitBreakerSettings {
  /** Failures in a row. */
  readonly failures: number;
  /** Shortest and longest ejection. */
  readonly ejectMinMs: number;
  readonly ejectMaxMs: number;
  /** Of the service's endpoints, at most so many at a time. */
  readonly maxEjectedPercent: number;
  /** Also when of `count` attempts or more in a window fewer than `percent` succeed; absent: not looked at. */
  readonly success?: { readonly percent: number; readonly count: number; readonly windowMs: number };
}

/** How calls to one service are treated: annotations, policies and defaults, settled. Times in ms. */
export interface TrafficSettings {
  readonly timeoutMs?: number;
  readonly tryTimeoutMs?: number;
  /** How long nothing of a request or its response may move; undefined: for ever. */
  readonly idleTimeoutMs?: number;
  /** For a connection, TLS included; undefined: the sidecar's own. */
  readonly connectTimeoutMs?: number;
  readonly retries: RetryPolicy;
  readonly retryBudget: { readonly ratio: number; readonly perSecond: number };
  readonly hedge?: HedgePolicy;
  readonly balance: BalancePolicy;
  /** undefined: nobody is ejected. */
  readonly circuitBreaker?: CircuitBreakerSettings;
  /** undefined: endpoints are not probed. */
  readonly healthCheck?: HealthCheck;
  readonly limits: { readonly connections: number; readonly pending: number; readonly requests: number };
  readonly rateLimits: readonly RateLimit[];
  readonly cache?: CachePolicy;
  readonly coalesce: boolean;
  readonly compress: readonly string[];
  readonly faults?: readonly Fault[];
  readonly directResponse?: DirectResponse;
  readonly rewrites?: readonly Rewrite[];
  readonly sticky?: Sticky;
  readonly mtls: 'strict' | 'permissive';
  /** Callers let in; undefined: everybody. */
  readonly allow?: readonly string[];
  readonly opaquePorts: readonly number[];
}

/** The annotations of DESIGN section 7, without their prefix. */
export const TRAFFIC_FIELDS = [
  'timeout',
  'try-timeout',
  'idle-timeout',
  'connect-timeout',
  'retries',
  'retry-budget',
  'hedge',
  'balance',
  'circuit-breaker',
  'health-check',
  'limits',
  'rate-limit',
  'cache',
  'coalesce',
  'compress',
  'fault',
  'direct-response',
  'rewrite',
  'sticky',
  'mtls',
  'allow',
  'opaque-ports',
] as const;

export type TrafficField = (typeof TRAFFIC_FIELDS)[number];

const text = z.string({ error: 'is not a text; put the value in quotes' }).max(4096).optional();

/** What a TrafficPolicy is about. */
export const trafficTargetSchema = targetRefSchema.extend({
  /** The rule of the route that is meant, by its name; absent: all rules. */
  sectionName: z.string().max(253).optional(),
});

/** The document TrafficPolicy: the same fields in the same grammar as the annotations. */
export const trafficPolicySchema = z.strictObject({
  apiVersion: z.literal('tulle.dev/v1alpha1'),
  kind: z.literal('TrafficPolicy'),
  metadata: metadataSchema,
  spec: z.strictObject({
    targetRef: trafficTargetSchema,
    timeout: text,
    'try-timeout': text,
    'idle-timeout': text,
    'connect-timeout': text,
    retries: text,
    'retry-budget': text,
    hedge: text,
    balance: text,
    'circuit-breaker': text,
    'health-check': text,
    limits: text,
    'rate-limit': text,
    cache: text,
    coalesce: text,
    compress: text,
    fault: text,
    'direct-response': text,
    rewrite: text,
    sticky: text,
    mtls: text,
    allow: text,
    'opaque-ports': text,
  }),
});

export type TrafficPolicy = z.infer<typeof trafficPolicySchema>;

import * as z from 'zod';
import { metadataSchema, targetRefSchema } from './metadata.ts';

export type RetryCondition =
  | 'connect'
  | 'reset'
  | 'refused-stream'
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

export interface RateLimit {
  readonly tokens: number;
  readonly perMs: number;
  readonly burst: number;
  /** What callers are told apart by: `client`, `ip`, `path`, `header:NAME`, `claim:NAME`, `api-key`; none: all together. */
  readonly by: readonly string[];
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

/** How calls to one service are treated: annotations, policies and defaults, settled. Times in ms. */
export interface TrafficSettings {
  readonly timeoutMs?: number;
  readonly tryTimeoutMs?: number;
  readonly retries: { readonly attempts: number; readonly on: readonly RetryCondition[] };
  readonly retryBudget: { readonly ratio: number; readonly perSecond: number };
  readonly hedge?: { readonly quantile: number };
  readonly balance: { readonly strategy: BalanceStrategy; readonly hashOn?: string };
  readonly circuitBreaker: {
    readonly failures: number;
    readonly ejectMinMs: number;
    readonly ejectMaxMs: number;
    readonly maxEjectedPercent: number;
  };
  /** undefined: endpoints are not probed. */
  readonly healthCheck?: HealthCheck;
  readonly limits: { readonly connections: number; readonly pending: number; readonly requests: number };
  readonly rateLimits: readonly RateLimit[];
  readonly cache?: CachePolicy;
  readonly coalesce: boolean;
  readonly compress: readonly string[];
  readonly mtls: 'strict' | 'permissive';
  /** Callers let in; undefined: everybody. */
  readonly allow?: readonly string[];
  readonly opaquePorts: readonly number[];
}

/** The annotations of DESIGN section 7, without their prefix. */
export const TRAFFIC_FIELDS = [
  'timeout',
  'try-timeout',
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
  'mtls',
  'allow',
  'opaque-ports',
] as const;

export type TrafficField = (typeof TRAFFIC_FIELDS)[number];

const text = z.string({ error: 'is not a text; put the value in quotes' }).max(4096).optional();

/** The document TrafficPolicy: the same fields in the same grammar as the annotations. */
export const trafficPolicySchema = z.strictObject({
  apiVersion: z.literal('tulle.dev/v1alpha1'),
  kind: z.literal('TrafficPolicy'),
  metadata: metadataSchema,
  spec: z.strictObject({
    targetRef: targetRefSchema,
    timeout: text,
    'try-timeout': text,
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
    mtls: text,
    allow: text,
    'opaque-ports': text,
  }),
});

export type TrafficPolicy = z.infer<typeof trafficPolicySchema>;

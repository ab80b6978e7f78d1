import { edgeTo } from '../../cli/demo/topology.ts';

export const NAMESPACE = 'chaos';
export const GATEWAY = 'gateway';
/** What clients stand beside: each a sidecar of its own. */
export const CLIENTS = ['client-a', 'client-b'] as const;

export interface ChaosService {
  readonly name: string;
  readonly speaks: 'http' | 'grpc' | 'tcp';
  readonly instances: number;
  /** Who may call it. */
  readonly allow: readonly string[];
  /** Called by each of its requests, through the own sidecar. */
  readonly calls?: string;
  /** Its endpoints are names, so that they must be resolved. */
  readonly named?: boolean;
  readonly annotations: Readonly<Record<string, string>>;
  /** It has the quota of the storm, shared by its sidecars. */
  readonly limited?: boolean;
}

/** What `limited` services take in a second, of all callers together, and at once after a rest. */
export interface StormQuota {
  readonly perSecond: number;
  readonly burst: number;
}

const QUOTA_PER_SECOND = 30;
/** Each sidecar's share at an outage must hold some. */
const LEAST_QUOTA = 5;

/** About half of what the load asks for. */
export function stormQuota(loadShare: number): StormQuota {
  const perSecond = Math.max(LEAST_QUOTA, Math.round(QUOTA_PER_SECOND * loadShare));
  return { perSecond, burst: perSecond };
}

/**
 * Times are long: a machine that has other work to do must not look like a fault.
 * Small and mixed: every protocol, every way of calling, and two or three endpoints of each service.
 */
export const SERVICES: readonly ChaosService[] = [
  {
    name: 'web',
    speaks: 'http',
    instances: 2,
    allow: [GATEWAY],
    calls: 'orders',
    named: true,
    annotations: {
      'tulle.dev/retries': '3 on connect,refused-stream,reset,5xx',
      'tulle.dev/try-timeout': '15s',
      'tulle.dev/timeout': '40s',
    },
  },
  {
    name: 'orders',
    speaks: 'http',
    instances: 3,
    allow: [...CLIENTS, 'web'],
    annotations: {
      'tulle.dev/retries': '3 on connect,refused-stream,reset,5xx',
      'tulle.dev/try-timeout': '4s',
      'tulle.dev/timeout': '30s',
      'tulle.dev/health-check': 'http /healthz every 4s timeout 4s',
    },
  },
  {
    name: 'greeter',
    speaks: 'grpc',
    instances: 2,
    allow: [...CLIENTS],
    annotations: { 'tulle.dev/timeout': '20s' },
  },
  { name: 'store', speaks: 'tcp', instances: 2, allow: [...CLIENTS], annotations: {} },
  {
    name: 'tickets',
    speaks: 'http',
    instances: 2,
    allow: [...CLIENTS],
    limited: true,
    annotations: {
      'tulle.dev/retries': '3 on connect,refused-stream,reset,5xx',
      'tulle.dev/try-timeout': '15s',
      'tulle.dev/timeout': '40s',
    },
  },
];

/** `orders-1` of `orders`. */
export function instanceNames({ name, instances }: ChaosService): string[] {
  return Array.from({ length: instances }, (_, index) => `${name}-${index}`);
}

/** The mesh file as an object; `endpoints` of a service are what its callers connect to, `redis` where quotas are counted. */
export function meshDocument(
  endpoints: ReadonlyMap<string, readonly string[]>,
  redis: string,
  { perSecond, burst }: StormQuota,
): object {
  const limit = { 'tulle.dev/rate-limit': `${perSecond}/s burst ${burst}` };
  // Not a minute: the next fault of a service waits until its endpoints are used again.
  const breaker = { 'tulle.dev/circuit-breaker': 'failures 5, eject 2s..6s, max 50%' };
  return {
    trustDomain: 'chaos.test',
    quotas: { store: `redis://${redis}` },
    services: [
      ...SERVICES.map(({ name, speaks, allow, annotations, limited }) => ({
        name,
        namespace: NAMESPACE,
        port: 80,
        protocol: speaks,
        serviceAccount: name,
        endpoints: endpoints.get(name) ?? [],
        annotations: {
          ...{ 'tulle.dev/mtls': 'strict', 'tulle.dev/allow': allow.join(', ') },
          ...(speaks !== 'tcp' && breaker),
          ...(limited === true && limit),
          ...annotations,
        },
      })),
      ...CLIENTS.map((name) => ({ name, namespace: NAMESPACE, port: 80, serviceAccount: name })),
    ],
    ...edgeTo('web', NAMESPACE),
  };
}

import type { Arrival, Evidence, Impairment, KnownQuota, SentRequest, Strike } from './evidence.ts';

/** A storm in which nothing happened, with some things that did. */
export function evidenceOf(given: Partial<Evidence> = {}): Evidence {
  return {
    requests: [],
    arrivals: [],
    impairments: [],
    endpoints: new Map([
      ['orders', ['orders-0', 'orders-1']],
      ['web', ['web-0', 'web-1']],
    ]),
    stalls: [],
    deaths: [],
    memory: [],
    unrecovered: [],
    quotas: [],
    strikes: [],
    ...given,
  };
}

/** A GET of client-a to orders that went well, from 100 to 200 ms. */
export function requestOf(given: Partial<SentRequest> = {}): SentRequest {
  return {
    id: 'r1',
    kind: 'http1 GET',
    of: 'safe',
    entry: 'client-a',
    services: ['orders'],
    startMs: 100,
    endMs: 200,
    ok: true,
    status: 200,
    reason: '',
    detail: '',
    ...given,
  };
}

/** The same, failed by a reason of the mesh. */
export function failedRequest(given: Partial<SentRequest> = {}): SentRequest {
  return requestOf({ ok: false, status: 502, reason: 'upstream-reset', ...given });
}

export function arrivalOf(given: Partial<Arrival> = {}): Arrival {
  return {
    ...{ atMs: 150, id: 'r1', client: 'client-a', method: 'POST', service: 'orders', instance: 'orders-0' },
    ...given,
  };
}

export function impairmentOf(parts: readonly string[], given: Partial<Impairment> = {}): Impairment {
  return { fault: 'kill-application', parts, fromMs: 0, toMs: 1_000, ...given };
}

/** kill-redis, which hit, from 0 to 1000 ms. */
export function strikeOf(given: Partial<Strike> = {}): Strike {
  const named = { fault: 'kill-redis', aim: 'redis', target: 'redis' } as const;
  return { ...named, fromMs: 0, toMs: 1_000, sign: '1 processes ended by SIGKILL', ...given };
}

/** 10 in a second and 10 at once, for orders, in the first minute. */
export const QUOTA: KnownQuota = {
  ...{ service: 'orders', tokens: 10, perMs: 1_000, burst: 10 },
  ...{ fromMs: 0, toMs: 60_000 },
};

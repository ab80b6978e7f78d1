import type { Arrival, Evidence, Impairment, SentRequest } from './evidence.ts';

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

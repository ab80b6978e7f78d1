import { CUT, type Evidence, type Impairment, type Invariant, type SentRequest } from '../evidence.ts';

/** What may come of a machine that has no time, not of the mesh. */
const TIMED = new Set(['try-timeout', 'request-timeout', 'connect-timeout', 'overloaded']);
/** The request did not get to any application, so that every request may be sent again. */
const NOT_RUN = new Set([
  'connect-failed',
  'connect-timeout',
  'upstream-tls',
  'no-endpoint',
  'service-unknown-yet',
  'not-ready',
]);

/** Retries are counted for so long (docs/traffic.md), in ms. */
const BUDGET_MS = 10_000;
const BUDGET_USED_UP = /the retry budget of \S+ is used up/;

/** Why a request may have failed. */
export interface Excuse {
  readonly rule:
    | 'its own sidecar was ill'
    | 'the machine had no time'
    | 'no endpoint was well'
    | 'its retry budget was used up before'
    | 'its response had begun'
    | 'it may have run';
  readonly faults: readonly string[];
}

/**
 * No request is lost that had a healthy way. A failed request is excused only if, at some time between its start and
 * its end, a fault impaired
 * - the sidecar or gateway that its client calls; or
 * - every endpoint of a service on its way, all at one moment; or
 * - one endpoint of a service on its way, if the request may have run there and is not repeated (`once`, `opaque`); or
 * - one endpoint of a service on its way, if another fault of that service had used up the retry budget just before.
 * - one endpoint of a service on its way, if the head of a good response had come: nobody can take that back.
 * A `safe` request has retries, so one impaired endpoint among healthy ones excuses nothing. A refusal by a quota where
 * there is none is excused by nothing.
 */
export const noLostRequest: Invariant = {
  name: 'no-lost-request',
  check(evidence) {
    const lost = evidence.requests.filter(
      (request) => !request.ok && excuseOf(request, evidence) === undefined,
    );
    const byKind = Map.groupBy(
      lost,
      ({ kind, status, reason }) => `${kind}: ${status} ${reason || 'without a reason'}`,
    );
    return [...byKind].map(([what, requests]) => ({
      invariant: 'no-lost-request',
      detail: `${requests.length} requests failed that had a healthy way (${what}: ${requests[0]?.detail})`,
      requests: requests.map(({ id }) => id),
    }));
  },
};

/** Undefined: nothing excuses it. */
export function excuseOf(request: SentRequest, evidence: Evidence): Excuse | undefined {
  const { startMs, endMs, services, entry, of, reason } = request;
  if (reason === 'rate-limited') return undefined;
  const during = evidence.impairments.filter(({ fromMs, toMs }) => fromMs <= endMs && toMs >= startMs);
  const atEntry = during.filter(({ parts }) => parts.includes(entry));
  if (atEntry.length > 0) return excuse('its own sidecar was ill', atEntry);
  const endpoints = services.map((service) => evidence.endpoints.get(service) ?? []);
  for (const all of endpoints) {
    const illAtOnce = allIll(all, during, startMs);
    if (illAtOnce !== undefined) return excuse('no endpoint was well', illAtOnce);
  }
  const isOnWay = ({ parts }: Impairment): boolean => parts.some((part) => endpoints.flat().includes(part));
  const ill = during.filter(isOnWay);
  if (of !== 'safe' && !neverRan(request) && ill.length > 0) return excuse('it may have run', ill);
  if (hadBegun(request) && ill.length > 0) return excuse('its response had begun', ill);
  const before = ill.length > 0 ? usedUpBefore(request, evidence.impairments.filter(isOnWay)) : [];
  const others = before.filter((one) => !ill.includes(one));
  if (others.length > 0) return excuse('its retry budget was used up before', [...others, ...ill]);
  const stalled = evidence.stalls.some(({ fromMs, toMs }) => fromMs <= endMs && toMs >= startMs);
  return TIMED.has(reason) && stalled ? excuse('the machine had no time', []) : undefined;
}

/** What can have used up the retry budget that the request lacked. */
function usedUpBefore(
  { startMs, explanation = '' }: SentRequest,
  impairments: readonly Impairment[],
): readonly Impairment[] {
  if (!BUDGET_USED_UP.test(explanation)) return [];
  return impairments.filter(
    ({ fromMs, toMs }) => fromMs < startMs - BUDGET_MS / 10 && toMs > startMs - BUDGET_MS,
  );
}

/** Its client saw that it is not whole. */
function hadBegun({ status, detail }: SentRequest): boolean {
  return status >= 200 && status < 400 && detail.startsWith(CUT);
}

/** By its caller's own sidecar: what an endpoint's sidecar answers is a response, whatever it says. */
function neverRan({ reason, explanation = '' }: SentRequest): boolean {
  return NOT_RUN.has(reason) && explanation.includes(` -> ${reason} `);
}

function excuse(rule: Excuse['rule'], impairments: readonly Impairment[]): Excuse {
  return { rule, faults: [...new Set(impairments.map(({ fault }) => fault))].sort() };
}

/** What impaired all of them at one moment; undefined: one was always well. */
function allIll(
  endpoints: readonly string[],
  during: readonly Impairment[],
  startMs: number,
): readonly Impairment[] | undefined {
  for (const { fromMs } of during) {
    const atMs = Math.max(fromMs, startMs);
    const then = during.filter((one) => one.fromMs <= atMs && one.toMs >= atMs);
    const ill = then.filter(({ parts }) => parts.some((part) => endpoints.includes(part)));
    if (endpoints.every((endpoint) => ill.some(({ parts }) => parts.includes(endpoint)))) return ill;
  }
  return undefined;
}

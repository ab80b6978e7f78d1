import type { Evidence, Impairment, Invariant, SentRequest } from '../evidence.ts';

/** What may come of a machine that has no time, not of the mesh. */
const TIMED = new Set(['try-timeout', 'request-timeout', 'connect-timeout', 'overloaded']);

/**
 * No request is lost that had a healthy way. A failed request is excused only if, at some time between its start and
 * its end, a fault impaired
 * - all parts (certificates had ended), or the sidecar or gateway that its client calls; or
 * - every endpoint of a service on its way; or
 * - one endpoint of a service on its way, if the request may have run there and is not repeated (`once`, `opaque`).
 * A `safe` request has retries, so one impaired endpoint among healthy ones excuses nothing.
 */
export const noLostRequest: Invariant = {
  name: 'no-lost-request',
  check(evidence) {
    const lost = evidence.requests.filter((request) => !request.ok && !isExcused(request, evidence));
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

function isExcused(request: SentRequest, evidence: Evidence): boolean {
  const { startMs, endMs, services, entry, of, reason } = request;
  const during = evidence.impairments.filter(({ fromMs, toMs }) => fromMs <= endMs && toMs >= startMs);
  if (during.some(({ parts }) => parts.includes('*') || parts.includes(entry))) return true;
  if (TIMED.has(reason) && evidence.stalls.some(({ fromMs, toMs }) => fromMs <= endMs && toMs >= startMs))
    return true;
  return services.some((service) => {
    const endpoints = evidence.endpoints.get(service) ?? [];
    if (of !== 'safe') return endpoints.some((endpoint) => isHurt(endpoint, during));
    return endpoints.every((endpoint) => isHurt(endpoint, during));
  });
}

function isHurt(endpoint: string, during: readonly Impairment[]): boolean {
  return during.some(({ parts }) => parts.includes(endpoint));
}

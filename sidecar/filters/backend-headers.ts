import type { RouteBackend } from '../../protocol/route.ts';
import type { Filter } from './filter.ts';
import { type CompiledChanges, changeHeaders, compileChanges } from './headers.ts';

/** Changes headers as the backend asks that was chosen for the request (filters of backendRefs). undefined: none asks. */
export function backendHeaders(backends: readonly RouteBackend[]): Filter | undefined {
  const requests = new Map<RouteBackend, CompiledChanges>();
  const responses = new Map<RouteBackend, CompiledChanges>();
  for (const backend of backends) {
    const { requestHeaders, responseHeaders } = backend;
    if (requestHeaders !== undefined) requests.set(backend, compileChanges(requestHeaders));
    if (responseHeaders !== undefined) responses.set(backend, compileChanges(responseHeaders));
  }
  if (requests.size + responses.size === 0) return undefined;
  return {
    name: 'backend-headers',
    onBackend(exchange) {
      const changes = exchange.backend && requests.get(exchange.backend);
      if (changes !== undefined)
        exchange.requestFields = changeHeaders(changes, exchange.head, exchange.requestFields);
    },
    onResponse(exchange, head) {
      const changes = exchange.backend && responses.get(exchange.backend);
      if (changes !== undefined)
        exchange.responseFields = changeHeaders(changes, head, exchange.responseFields);
    },
  };
}

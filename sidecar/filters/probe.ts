import type { Exchange } from '../exchange.ts';
import type { Filter } from './filter.ts';

/** Where the kubelet looks whether an application is well, as its pod declares it. */
export type Probe =
  | { readonly kind: 'http'; readonly path: string; readonly query: string }
  | { readonly kind: 'grpc' };

const GRPC_CHECK = '/grpc.health.v1.Health/Check';

/**
 * What protects a workload, but for its own probes: the kubelet has no certificate of the mesh, and must not be
 * kept from telling a healthy application from a broken one. Exactly what the pod declares is let in.
 */
export function unlessProbe(probes: readonly Probe[], filters: readonly Filter[]): readonly Filter[] {
  if (probes.length === 0) return filters;
  return filters.map((filter) => {
    const { onRequest } = filter;
    if (onRequest === undefined) return filter;
    return {
      ...filter,
      onRequest: (exchange, control) =>
        isProbe(probes, exchange) ? undefined : onRequest.call(filter, exchange, control),
    };
  });
}

function isProbe(probes: readonly Probe[], { mtls, method, path, query }: Exchange): boolean {
  if (mtls) return false;
  return probes.some((probe) =>
    probe.kind === 'grpc'
      ? method === 'POST' && path === GRPC_CHECK
      : (method === 'GET' || method === 'HEAD') && path === probe.path && query === probe.query,
  );
}

import { isWorkload, spiffeId } from '../../protocol/spiffe.ts';
import type { Edge } from './edge-stats.ts';

/** Istio's labels of requests, so that Kiali and the dashboards that people have work. */
export const EDGE_LABELS = [
  'reporter',
  'source_workload',
  'source_workload_namespace',
  'source_principal',
  'source_canonical_service',
  'destination_workload',
  'destination_workload_namespace',
  'destination_service',
  'destination_service_name',
  'destination_service_namespace',
  'destination_canonical_service',
  'request_protocol',
  'connection_security_policy',
] as const;

export type EdgeLabels = Readonly<Record<(typeof EDGE_LABELS)[number], string>>;

const UNKNOWN = 'unknown';

/** What is not known is `unknown`, as in Istio. A principal is told only of a caller that proved it. */
export function edgeLabels(edge: Edge, trustDomain: string): EdgeLabels {
  const [sourceNamespace, source] = split(edge.source);
  const [namespace, name] = split(edge.destination);
  const proved = edge.mtls && isWorkload(edge.source);
  return {
    reporter: edge.reporter,
    source_workload: source,
    source_workload_namespace: sourceNamespace,
    source_principal: proved ? spiffeId(trustDomain, edge.source) : UNKNOWN,
    source_canonical_service: source,
    destination_workload: name,
    destination_workload_namespace: namespace,
    destination_service: namespace === UNKNOWN ? name : `${name}.${namespace}.svc.cluster.local`,
    destination_service_name: name,
    destination_service_namespace: namespace,
    destination_canonical_service: name,
    request_protocol: edge.protocol,
    connection_security_policy: edge.mtls ? 'mutual_tls' : 'none',
  };
}

function split(key: string): [namespace: string, name: string] {
  const slash = key.indexOf('/');
  return slash < 0 ? [UNKNOWN, key] : [key.slice(0, slash), key.slice(slash + 1)];
}

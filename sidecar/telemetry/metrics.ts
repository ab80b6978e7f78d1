import type { Registry } from 'prom-client';
import { spiffeId } from '../../protocol/spiffe.ts';
import { BUCKETS_MS, type Edge, type EdgeRegistry, type EdgeStats } from './edge-stats.ts';

/** Numbers of the whole process, read when scraped. */
export interface Gauges {
  readonly connections: number;
  readonly ready: boolean;
  readonly controlPlaneConnected: boolean;
  /** Seconds to the certificate's end; undefined without one. */
  readonly certificateSecondsLeft: number | undefined;
  readonly version: string;
  readonly trustDomain: string;
}

/** Istio's request labels, so that Kiali and existing dashboards work. */
const LABELS = [
  'reporter',
  'source_workload',
  'source_workload_namespace',
  'source_principal',
  'destination_service',
  'destination_service_name',
  'destination_service_namespace',
  'destination_workload',
  'request_protocol',
  'connection_security_policy',
] as const;

type Labels = Readonly<Record<(typeof LABELS)[number], string>>;

/** Makes the exposition. prom-client is loaded at the first scrape: a sidecar that nobody scrapes does without. */
export function createMetrics(edges: EdgeRegistry, gauges: () => Gauges): () => Promise<{ text: string; contentType: string }> {
  let registry: Promise<Registry> | undefined;
  return async () => {
    registry ??= buildRegistry(edges, gauges);
    const ready = await registry;
    return { text: await ready.metrics(), contentType: ready.contentType };
  };
}

async function buildRegistry(edges: EdgeRegistry, gauges: () => Gauges): Promise<Registry> {
  const prom = await import('prom-client');
  const registry = new prom.Registry();
  prom.collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
  const now = () => gauges();
  const labelsOf = (stats: EdgeStats) => edgeLabels(stats.edge, gauges().trustDomain);

  const counter = (name: string, help: string, labelNames: string[], read: (stats: EdgeStats, add: (labels: Record<string, string>, value: number) => void) => void) => {
    new prom.Counter({
      name,
      help,
      labelNames: [...LABELS, ...labelNames],
      registers: [registry],
      collect() {
        this.reset();
        for (const stats of edges.all()) {
          const labels = labelsOf(stats);
          read(stats, (more, value) => {
            if (value > 0) this.inc({ ...labels, ...more }, value);
          });
        }
      },
    });
  };
  counter('istio_requests_total', 'Requests, by who called whom and how it ended.', ['response_code', 'response_flags'], (stats, add) => {
    for (const [code, count] of stats.byStatus.entries()) add({ response_code: String(code), response_flags: '-' }, count);
  });
  counter('tulle_local_responses_total', 'Responses that Tulle made itself, and requests that it cut short, by reason.', ['reason'], (stats, add) => {
    for (const [reason, count] of stats.byReason) add({ reason }, count);
  });
  counter('tulle_retries_total', 'Attempts after the first.', [], (stats, add) => add({}, stats.retries));
  counter('tulle_request_bytes_total', 'Bytes of request bodies.', [], (stats, add) => add({}, stats.requestBytes));
  counter('tulle_response_bytes_total', 'Bytes of response bodies.', [], (stats, add) => add({}, stats.responseBytes));

  registry.registerMetric(durations(edges, labelsOf) as never); // a metric by prom-client's interface, made of our own numbers

  const gauge = (name: string, help: string, read: () => number | undefined) => {
    new prom.Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        const value = read();
        if (value !== undefined) this.set(value);
      },
    });
  };
  gauge('tulle_connections_active', 'Open downstream connections.', () => now().connections);
  gauge('tulle_ready', '1 if this proxy is ready.', () => Number(now().ready));
  gauge('tulle_control_plane_connected', '1 if a control plane is connected.', () => Number(now().controlPlaneConnected));
  gauge('tulle_certificate_expiry_seconds', 'Seconds to the end of the own certificate.', () => now().certificateSecondsLeft);
  const build = new prom.Gauge({ name: 'tulle_build_info', help: 'The running version.', labelNames: ['version'], registers: [registry] });
  build.set({ version: gauges().version }, 1);
  return registry;
}

/** A histogram whose buckets are counted elsewhere. */
function durations(edges: EdgeRegistry, labelsOf: (stats: EdgeStats) => Labels) {
  const name = 'istio_request_duration_milliseconds';
  return {
    name,
    async get() {
      const values: { labels: Record<string, string | number>; value: number; metricName: string }[] = [];
      for (const stats of edges.all()) {
        const labels = labelsOf(stats);
        let total = 0;
        for (const [index, count] of stats.buckets.entries()) {
          total += count;
          values.push({ labels: { ...labels, le: BUCKETS_MS[index] ?? '+Inf' }, value: total, metricName: `${name}_bucket` });
        }
        values.push({ labels, value: stats.durationSumMs, metricName: `${name}_sum` }, { labels, value: total, metricName: `${name}_count` });
      }
      return { name, help: 'Duration of requests in milliseconds.', type: 'histogram', values, aggregator: 'sum' };
    },
    reset() {},
  };
}

function edgeLabels(edge: Edge, trustDomain: string): Labels {
  const [sourceNamespace = '', source = 'unknown'] = edge.source.includes('/') ? edge.source.split('/', 2) : ['unknown', edge.source];
  const [namespace = '', name = 'unknown'] = edge.destination.includes('/') ? edge.destination.split('/', 2) : ['unknown', edge.destination];
  return {
    reporter: edge.reporter,
    source_workload: source,
    source_workload_namespace: sourceNamespace,
    source_principal: edge.source.includes('/') && edge.mtls ? spiffeId(trustDomain, edge.source) : 'unknown',
    destination_service: `${name}.${namespace}.svc.cluster.local`,
    destination_service_name: name,
    destination_service_namespace: namespace,
    destination_workload: name,
    request_protocol: 'http',
    connection_security_policy: edge.mtls ? 'mutual_tls' : 'none',
  };
}

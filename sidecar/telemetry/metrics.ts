import type { Registry } from 'prom-client';
import { BUCKETS_BYTES, BUCKETS_MS } from './buckets.ts';
import { countedHistogram } from './counted-histogram.ts';
import type { Detections } from './detections.ts';
import { EDGE_LABELS, type EdgeLabels, edgeLabels } from './edge-labels.ts';
import type { EdgeRegistry } from './edge-registry.ts';
import type { EdgeStats } from './edge-stats.ts';

/** Numbers of the whole process, read when scraped. */
export interface Gauges {
  readonly connections: number;
  readonly ready: boolean;
  readonly controlPlaneConnected: boolean;
  /** Seconds to the certificate's end; undefined without one. */
  readonly certificateSecondsLeft: number | undefined;
  /** Seconds to the end of the first of the trusted roots. */
  readonly rootSecondsLeft: number | undefined;
  readonly version: string;
  readonly trustDomain: string;
}

/** A page of metrics. */
export interface Exposition {
  readonly text: string;
  readonly contentType: string;
}

/** Makes the exposition. prom-client is loaded at the first scrape: a sidecar that nobody scrapes does without. */
export function createMetrics(
  edges: EdgeRegistry,
  detections: Detections,
  gauges: () => Gauges,
): () => Promise<Exposition> {
  let registry: Promise<Registry> | undefined;
  return async () => {
    registry ??= buildRegistry(edges, detections, gauges);
    const ready = await registry;
    return { text: await ready.metrics(), contentType: ready.contentType };
  };
}

type Prom = typeof import('prom-client');

async function buildRegistry(
  edges: EdgeRegistry,
  detections: Detections,
  gauges: () => Gauges,
): Promise<Registry> {
  const prom = await import('prom-client');
  const registry = new prom.Registry();
  prom.collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
  const labelled = labelling(edges, () => gauges().trustDomain);
  registerCounters(prom, registry, labelled);
  registerHistograms(registry, labelled);
  registerDetections(prom, registry, detections);
  registerGauges(prom, registry, gauges);
  return registry;
}

/** An edge's labels are made once: six metrics and every scrape use them. */
function labelling(edges: EdgeRegistry, trustDomain: () => string): Labelled {
  let known = new WeakMap<EdgeStats, EdgeLabels>();
  let knownFor = '';
  return function* () {
    const domain = trustDomain();
    if (domain !== knownFor) {
      known = new WeakMap();
      knownFor = domain;
    }
    for (const stats of edges.all()) {
      const labels = known.get(stats) ?? edgeLabels(stats.edge, domain);
      known.set(stats, labels);
      yield { stats, labels };
    }
  };
}

type Labelled = () => Iterable<{ stats: EdgeStats; labels: EdgeLabels }>;
type Add = (labels: Record<string, string>, value: number) => void;

function registerCounters(prom: Prom, registry: Registry, labelled: Labelled): void {
  const counter = (
    name: string,
    help: string,
    more: readonly string[],
    read: (stats: EdgeStats, add: Add) => void,
  ): void => {
    new prom.Counter({
      name,
      help,
      labelNames: [...EDGE_LABELS, ...more],
      registers: [registry],
      collect() {
        this.reset();
        for (const { stats, labels } of labelled()) {
          read(stats, (added, value) => {
            if (value > 0) this.inc({ ...labels, ...added }, value);
          });
        }
      },
    });
  };
  counter(
    'istio_requests_total',
    'Requests, by who called whom and how it ended.',
    ['response_code', 'response_flags'],
    (stats, add) => {
      const flags = { response_flags: '-' };
      for (const { status, count } of stats.outcomes()) {
        add({ response_code: String(status), ...flags }, count);
      }
    },
  );
  counter(
    'tulle_local_responses_total',
    'Responses that Tulle made itself, and requests that it cut short, by reason.',
    ['reason'],
    (stats, add) => {
      for (const { reason, count } of stats.outcomes()) if (reason !== '') add({ reason }, count);
    },
  );
  counter('tulle_retries_total', 'Attempts after the first.', [], (stats, add) => add({}, stats.retries));
  const tcp = (name: string, help: string, value: (stats: EdgeStats) => number): void =>
    counter(name, help, [], (stats, add) => add({}, value(stats)));
  tcp('istio_tcp_connections_opened_total', 'Opaque connections opened.', ({ tcpOpened }) => tcpOpened);
  tcp('istio_tcp_connections_closed_total', 'Opaque connections closed.', ({ tcpClosed }) => tcpClosed);
  tcp(
    'istio_tcp_received_bytes_total',
    'Bytes of opaque connections from those who called.',
    ({ tcpReceivedBytes }) => tcpReceivedBytes,
  );
  tcp(
    'istio_tcp_sent_bytes_total',
    'Bytes of opaque connections to those who called.',
    ({ tcpSentBytes }) => tcpSentBytes,
  );
  counter(
    'tulle_tcp_failures_total',
    'Opaque connections that were refused or did not end well, by reason.',
    ['reason'],
    (stats, add) => {
      for (const [reason, count] of stats.tcpFailures) add({ reason }, count);
    },
  );
}

function registerDetections(prom: Prom, registry: Registry, detections: Detections): void {
  new prom.Counter({
    name: 'tulle_detected_protocols_total',
    help: 'Connections by what their first bytes said.',
    labelNames: ['listener', 'protocol'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { listener, protocol, count } of detections.protocols())
        this.inc({ listener, protocol }, count);
    },
  });
  new prom.Counter({
    name: 'tulle_detect_timeouts_total',
    help: 'Connections on which no protocol was told in time, so that the server was taken to speak first.',
    labelNames: ['listener'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [listener, count] of detections.timeouts) this.inc({ listener }, count);
    },
  });
}

function registerHistograms(registry: Registry, labelled: Labelled): void {
  const histogram = (
    name: string,
    help: string,
    bounds: readonly number[],
    read: (stats: EdgeStats) => { counts: Float64Array; sum: number },
  ): void => {
    const series = function* () {
      for (const { stats, labels } of labelled()) if (stats.requests > 0) yield { labels, ...read(stats) };
    };
    registry.registerMetric(countedHistogram(name, help, bounds, series));
  };
  histogram(
    'istio_request_duration_milliseconds',
    'Duration of requests in milliseconds.',
    BUCKETS_MS,
    ({ durations, durationSumMs }) => ({ counts: durations, sum: durationSumMs }),
  );
  histogram(
    'istio_request_bytes',
    'Bytes of request bodies.',
    BUCKETS_BYTES,
    ({ requestSizes, requestBytes }) => ({ counts: requestSizes, sum: requestBytes }),
  );
  histogram(
    'istio_response_bytes',
    'Bytes of response bodies.',
    BUCKETS_BYTES,
    ({ responseSizes, responseBytes }) => ({ counts: responseSizes, sum: responseBytes }),
  );
}

function registerGauges(prom: Prom, registry: Registry, gauges: () => Gauges): void {
  const gauge = (name: string, help: string, read: (gauges: Gauges) => number | undefined): void => {
    new prom.Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        const value = read(gauges());
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  };
  gauge('tulle_connections_active', 'Open downstream connections.', ({ connections }) => connections);
  gauge('tulle_ready', '1 if this proxy is ready.', ({ ready }) => Number(ready));
  gauge('tulle_control_plane_connected', '1 if a control plane is connected.', ({ controlPlaneConnected }) =>
    Number(controlPlaneConnected),
  );
  gauge(
    'tulle_certificate_expiry_seconds',
    'Seconds to the end of the own certificate.',
    ({ certificateSecondsLeft }) => certificateSecondsLeft,
  );
  gauge(
    'tulle_root_expiry_seconds',
    'Seconds to the end of the first of the trusted roots.',
    ({ rootSecondsLeft }) => rootSecondsLeft,
  );
  new prom.Gauge({
    name: 'tulle_build_info',
    help: 'The running version.',
    labelNames: ['version'],
    registers: [registry],
    collect() {
      this.set({ version: gauges().version }, 1);
    },
  });
}

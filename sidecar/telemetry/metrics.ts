import type { Registry } from 'prom-client';
import { BUCKETS_BYTES, BUCKETS_MS } from './buckets.ts';
import { countedHistogram } from './counted-histogram.ts';
import { EDGE_LABELS, type EdgeLabels, edgeLabels } from './edge-labels.ts';
import type { EdgeRegistry } from './edge-registry.ts';
import type { EdgeStats } from './edge-stats.ts';

/** An endpoint that is probed; `service` as `namespace/name`. */
export interface CheckedEndpoint {
  readonly service: string;
  readonly endpoint: string;
  readonly healthy: boolean;
}

/** What is told of one rate limit; `quota` is its name. */
export interface QuotaFigures {
  readonly quota: string;
  readonly admitted: number;
  readonly refused: number;
  /** Requests that a dry run would have refused. */
  readonly dryRun: number;
  /** Requests decided while the store was away. */
  readonly outage: number;
  /** Requests that waited for the store. */
  readonly waited: number;
  /** Parts of messages to the store. */
  readonly draws: number;
  /** Requests counted as one with others for want of room. */
  readonly overflow: number;
  /** Tokens or places at hand. */
  readonly held: number;
}

/** An endpoint that has failed; `service` as `namespace/name`. */
export interface EndpointCircuit {
  readonly service: string;
  readonly endpoint: string;
  /** It gets no requests but probes. */
  readonly ejected: boolean;
}

/** Numbers of the whole process, read when scraped. */
export interface Gauges {
  readonly connections: number;
  /** How often each protection of HTTP/2 acted, by its name. */
  readonly protections: Readonly<Record<string, number>>;
  /** Connections by listener and by what their first bytes said, as `outbound http2`. */
  readonly detections: Readonly<Record<string, number>>;
  /** Connections on which nothing that tells came in time, by listener. */
  readonly detectTimeouts: Readonly<Record<string, number>>;
  /** Copies of requests by the service that should get them and what became of them, as `shop/v2:80 answered`. */
  readonly mirrors: Readonly<Record<string, number>>;
  readonly quotas: readonly QuotaFigures[];
  readonly ready: boolean;
  readonly controlPlaneConnected: boolean;
  /** Seconds to the certificate's end; undefined without one. */
  readonly certificateSecondsLeft: number | undefined;
  /** Seconds to the end of the first of the trusted roots. */
  readonly rootSecondsLeft: number | undefined;
  readonly checkedEndpoints: readonly CheckedEndpoint[];
  readonly circuits: readonly EndpointCircuit[];
  /** How often endpoints of a service were ejected, by what for, as `shop/orders failures`. */
  readonly ejections: Readonly<Record<string, number>>;
  /** Services, as `namespace/name`, of which so few endpoints can be used that all are. */
  readonly panics: readonly string[];
  readonly version: string;
  readonly trustDomain: string;
}

/** A page of metrics. */
export interface Exposition {
  readonly text: string;
  readonly contentType: string;
}

type Edges = Pick<EdgeRegistry, 'all'>;
type Prom = typeof import('prom-client');

/** Registers metrics of the process or processes that are told of. */
export type RegisterProcess = (prom: Prom, registry: Registry) => void;

/** Makes the exposition. prom-client is loaded at the first scrape: a sidecar that nobody scrapes does without. */
export function createMetrics(
  edges: Edges,
  gauges: () => Gauges,
  registerProcess: RegisterProcess = registerThisProcess,
): () => Promise<Exposition> {
  let registry: Promise<Registry> | undefined;
  return async () => {
    registry ??= buildRegistry(edges, gauges, registerProcess);
    const ready = await registry;
    return { text: await ready.metrics(), contentType: ready.contentType };
  };
}

async function buildRegistry(
  edges: Edges,
  gauges: () => Gauges,
  registerProcess: RegisterProcess,
): Promise<Registry> {
  const prom = await import('prom-client');
  const registry = new prom.Registry();
  registerProcess(prom, registry);
  const labelled = labelling(edges, () => gauges().trustDomain);
  registerCounters(prom, registry, labelled);
  registerHistograms(registry, labelled);
  registerGauges(prom, registry, gauges);
  registerEndpoints(prom, registry, gauges);
  registerCircuits(prom, registry, gauges);
  registerPanics(prom, registry, gauges);
  registerProtections(prom, registry, gauges);
  registerDetections(prom, registry, gauges);
  registerMirrors(prom, registry, gauges);
  registerQuotas(prom, registry, gauges);
  return registry;
}

function registerThisProcess(prom: Prom, registry: Registry): void {
  prom.collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
}

/** An edge's labels are made once: six metrics and every scrape use them. */
function labelling(edges: Edges, trustDomain: () => string): Labelled {
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
    ['response_code', 'response_flags', 'grpc_response_status'],
    (stats, add) => {
      for (const { status, grpcStatus, count } of stats.outcomes()) {
        const grpc = grpcStatus < 0 ? '' : String(grpcStatus);
        add({ response_code: String(status), response_flags: '-', grpc_response_status: grpc }, count);
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
  counter('tulle_fault_delays_total', 'Times that a fault held a request back.', [], ({ delays }, add) =>
    add({}, delays),
  );
  counter(
    'tulle_retries_withheld_total',
    'Requests with a failed attempt that was not made again, by why.',
    ['why'],
    (stats, add) => {
      for (const [why, count] of stats.withheld) add({ why }, count);
    },
  );
  counter(
    'tulle_hedges_total',
    'Requests that a second attempt joined or would have, by what came of it: won, lost, or refused by the budget.',
    ['result'],
    (stats, add) => {
      for (const [result, count] of stats.hedges) add({ result }, count);
    },
  );
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

function registerEndpoints(prom: Prom, registry: Registry, gauges: () => Gauges): void {
  new prom.Gauge({
    name: 'tulle_endpoint_healthy',
    help: '1 if the health check of an endpoint finds it healthy, 0 if not; only where there is a check.',
    labelNames: ['service', 'endpoint'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { service, endpoint, healthy } of gauges().checkedEndpoints)
        this.set({ service, endpoint }, Number(healthy));
    },
  });
}

function registerCircuits(prom: Prom, registry: Registry, gauges: () => Gauges): void {
  new prom.Gauge({
    name: 'tulle_endpoint_ejected',
    help: '1 while the circuit breaker keeps requests but probes from an endpoint, else 0; only of those that failed.',
    labelNames: ['service', 'endpoint'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { service, endpoint, ejected } of gauges().circuits)
        this.set({ service, endpoint }, Number(ejected));
    },
  });
  new prom.Counter({
    name: 'tulle_ejections_total',
    help: 'How often the circuit breaker ejected an endpoint, by its service and by what for.',
    labelNames: ['service', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, count] of Object.entries(gauges().ejections)) {
        const [service = '', reason = ''] = key.split(' ');
        this.inc({ service, reason }, count);
      }
    },
  });
}

function registerPanics(prom: Prom, registry: Registry, gauges: () => Gauges): void {
  new prom.Gauge({
    name: 'tulle_balance_panic',
    help: '1 while so few endpoints of a service can be used that all get requests (panic threshold).',
    labelNames: ['service'],
    registers: [registry],
    collect() {
      this.reset();
      for (const service of gauges().panics) this.set({ service }, 1);
    },
  });
}

function registerProtections(prom: Prom, registry: Registry, gauges: () => Gauges): void {
  new prom.Counter({
    name: 'tulle_http2_protections_total',
    help: 'How often a protection of HTTP/2 acted against a peer, by its name.',
    labelNames: ['protection'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [protection, count] of Object.entries(gauges().protections)) this.inc({ protection }, count);
    },
  });
}

function registerMirrors(prom: Prom, registry: Registry, gauges: () => Gauges): void {
  new prom.Counter({
    name: 'tulle_mirror_requests_total',
    help: 'Copies of requests for mirrors, by the service that should get them and by what became of them.',
    labelNames: ['service', 'result'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, count] of Object.entries(gauges().mirrors)) {
        const [service = '', result = ''] = key.split(' ');
        this.inc({ service, result }, count);
      }
    },
  });
}

function registerQuotas(prom: Prom, registry: Registry, gauges: () => Gauges): void {
  new prom.Counter({
    name: 'tulle_rate_limit_requests_total',
    help: 'Requests by rate limit and by what it decided; a dry run would have refused.',
    labelNames: ['quota', 'result'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { quota, admitted, refused, dryRun } of gauges().quotas) {
        this.inc({ quota, result: 'admitted' }, admitted);
        this.inc({ quota, result: 'refused' }, refused);
        this.inc({ quota, result: 'would_refuse' }, dryRun);
      }
    },
  });
  const counter = (name: string, help: string, value: (figures: QuotaFigures) => number): void => {
    new prom.Counter({
      name,
      help,
      labelNames: ['quota'],
      registers: [registry],
      collect() {
        this.reset();
        for (const figures of gauges().quotas) this.inc({ quota: figures.quota }, value(figures));
      },
    });
  };
  counter('tulle_rate_limit_outage_total', 'Requests decided by on-outage.', ({ outage }) => outage);
  counter('tulle_rate_limit_waits_total', 'Requests that waited for the store.', ({ waited }) => waited);
  counter('tulle_rate_limit_draws_total', 'Draws, returns and renewals sent.', ({ draws }) => draws);
  counter(
    'tulle_rate_limit_overflow_total',
    'Requests counted as one with others: there were more subjects than are kept apart.',
    ({ overflow }) => overflow,
  );
  new prom.Gauge({
    name: 'tulle_rate_limit_tokens_held',
    help: 'Tokens drawn and not used yet, or places of requests under way.',
    labelNames: ['quota'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { quota, held } of gauges().quotas) this.set({ quota }, held);
    },
  });
}

function registerDetections(prom: Prom, registry: Registry, gauges: () => Gauges): void {
  new prom.Counter({
    name: 'tulle_detected_protocols_total',
    help: 'Connections by what their first bytes said.',
    labelNames: ['listener', 'protocol'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [key, count] of Object.entries(gauges().detections)) {
        const [listener = '', protocol = ''] = key.split(' ');
        this.inc({ listener, protocol }, count);
      }
    },
  });
  new prom.Counter({
    name: 'tulle_detect_timeouts_total',
    help: 'Connections on which no protocol was told in time, so that the server was taken to speak first.',
    labelNames: ['listener'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [listener, count] of Object.entries(gauges().detectTimeouts)) this.inc({ listener }, count);
    },
  });
}

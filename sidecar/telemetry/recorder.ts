import type { Exchange } from '../exchange.ts';
import type { Log } from '../log.ts';
import { logConnection, logRequest } from './access-log.ts';
import { Detections } from './detections.ts';
import { EdgeRegistry } from './edge-registry.ts';
import { addNamed, type EdgeStats } from './edge-stats.ts';
import type { Attempt } from './explanation.ts';
import { Explanations } from './explanation-ring.ts';
import { MirrorCounts } from './mirror-counts.ts';
import { Protections } from './protections.ts';

/** Takes what is left of each exchange: counters, an explanation, a line of log if asked. */
export class Recorder {
  readonly edges = new EdgeRegistry();
  readonly explanations = new Explanations();
  readonly protections = new Protections();
  readonly detections = new Detections();
  readonly mirrors = new MirrorCounts();
  /** `namespace/serviceaccount` of the own workload. */
  private readonly self: string;
  private readonly accessLog: Log | undefined;
  private last: EdgeStats | undefined = undefined;
  private lastService = '';
  private lastDestination = 'unknown';

  constructor(self: string, accessLog: Log | undefined) {
    this.self = self;
    this.accessLog = accessLog;
  }

  /** `nowMs`: the exchange's end, on the clock of its start. */
  record(exchange: Exchange, nowMs: number): void {
    const stats = this.statsOf(exchange);
    const { status, startMs, requestBytes, responseBytes, reason, attempts, grpcStatus } = exchange;
    stats.observe(status, nowMs - startMs, requestBytes, responseBytes, reason, grpcStatus);
    if (attempts.length > 1) stats.retries += attempts.filter(isRetry).length;
    if (exchange.withheld !== '') addNamed(stats.withheld, exchange.withheld, 1);
    if (exchange.hedge !== '') addNamed(stats.hedges, exchange.hedge, 1);
    stats.delays += exchange.delays;
    this.explanations.record(exchange, nowMs);
    if (this.accessLog !== undefined) logRequest(this.accessLog, exchange, nowMs);
  }

  /** An opaque connection has both its ends. Returns where to count its bytes. */
  connectionOpened(exchange: Exchange): EdgeStats {
    const stats = this.tcpStatsOf(exchange);
    stats.tcpOpened++;
    return stats;
  }

  /** An opaque connection is over; `stats`: what `connectionOpened` returned, if it came to that. What went well needs no explanation. */
  connectionClosed(exchange: Exchange, stats: EdgeStats | undefined, nowMs: number): void {
    const { reason } = exchange;
    if (stats !== undefined) stats.tcpClosed++;
    if (reason !== '') {
      addNamed((stats ?? this.tcpStatsOf(exchange)).tcpFailures, reason, 1);
      this.explanations.record(exchange, nowMs);
    }
    if (this.accessLog !== undefined) logConnection(this.accessLog, exchange, nowMs);
  }

  private tcpStatsOf({ listener, peer, service, mtls }: Exchange): EdgeStats {
    const inbound = listener === 'inbound';
    const source = inbound ? peer || 'unknown' : this.self;
    const reporter = inbound ? 'destination' : 'source';
    return this.edges.get(reporter, source, this.destinationOf(service), mtls, 'tcp');
  }

  /** What calls to a service are counted under: all its ports together. Most often it is that of the call before. */
  private destinationOf(service: string): string {
    if (service !== this.lastService) {
      this.lastService = service;
      this.lastDestination = service.replace(/:\d+$/, '') || 'unknown';
    }
    return this.lastDestination;
  }

  /** The edge of an exchange; most often that of the one before. */
  private statsOf(exchange: Exchange): EdgeStats {
    const inbound = exchange.listener === 'inbound';
    const reporter = inbound ? 'destination' : 'source';
    const source = inbound ? exchange.peer || 'unknown' : this.self;
    const destination = this.destinationOf(exchange.service);
    const protocol = exchange.grpc ? 'grpc' : 'http';
    const { last } = this;
    if (last !== undefined) {
      const { edge } = last;
      const same = edge.destination === destination && edge.source === source && edge.protocol === protocol;
      if (same && edge.mtls === exchange.mtls && edge.reporter === reporter) return last;
    }
    this.last = this.edges.get(reporter, source, destination, exchange.mtls, protocol);
    return this.last;
  }
}

function isRetry({ hedge }: Attempt, index: number): boolean {
  return index > 0 && hedge === undefined;
}

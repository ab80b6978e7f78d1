import type { Exchange } from '../exchange.ts';
import type { Log } from '../log.ts';
import { logConnection, logRequest } from './access-log.ts';
import { Detections } from './detections.ts';
import { EdgeRegistry } from './edge-registry.ts';
import type { EdgeStats } from './edge-stats.ts';
import { Explanations } from './explanation-ring.ts';
import { Protections } from './protections.ts';

/** Takes what is left of each exchange: counters, an explanation, a line of log if asked. */
export class Recorder {
  readonly edges = new EdgeRegistry();
  readonly explanations = new Explanations();
  readonly protections = new Protections();
  readonly detections = new Detections();
  /** `namespace/serviceaccount` of the own workload. */
  private readonly self: string;
  private readonly accessLog: Log | undefined;
  private last: EdgeStats | undefined = undefined;

  constructor(self: string, accessLog: Log | undefined) {
    this.self = self;
    this.accessLog = accessLog;
  }

  /** `nowMs`: the exchange's end, on the clock of its start. */
  record(exchange: Exchange, nowMs: number): void {
    const stats = this.statsOf(exchange);
    const { status, startMs, requestBytes, responseBytes, reason, attempts, grpcStatus } = exchange;
    stats.observe(status, nowMs - startMs, requestBytes, responseBytes, reason, grpcStatus);
    if (attempts.length > 1) stats.retries += attempts.length - 1;
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
      (stats ?? this.tcpStatsOf(exchange)).countTcpFailure(reason, 1);
      this.explanations.record(exchange, nowMs);
    }
    if (this.accessLog !== undefined) logConnection(this.accessLog, exchange, nowMs);
  }

  private tcpStatsOf({ listener, peer, service, mtls }: Exchange): EdgeStats {
    const inbound = listener === 'inbound';
    const source = inbound ? peer || 'unknown' : this.self;
    return this.edges.get(inbound ? 'destination' : 'source', source, service || 'unknown', mtls, 'tcp');
  }

  /** The edge of an exchange; most often that of the one before. */
  private statsOf(exchange: Exchange): EdgeStats {
    const inbound = exchange.listener === 'inbound';
    const reporter = inbound ? 'destination' : 'source';
    const source = inbound ? exchange.peer || 'unknown' : this.self;
    const destination = exchange.service || 'unknown';
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

import type { Exchange } from '../exchange.ts';
import type { Log } from '../log.ts';
import { EdgeRegistry, type EdgeStats } from './edge-stats.ts';
import { Explanations } from './explanation-ring.ts';

/** Takes what is left of each exchange: counters, an explanation, a line of log if asked. */
export class Recorder {
  readonly edges = new EdgeRegistry();
  readonly explanations = new Explanations();
  /** `namespace/serviceaccount` of the own workload. */
  private readonly self: string;
  private readonly accessLog: Log | undefined;
  private last: EdgeStats | undefined = undefined;

  constructor(self: string, accessLog: Log | undefined) {
    this.self = self;
    this.accessLog = accessLog;
  }

  record(exchange: Exchange, nowMs: number): void {
    const stats = this.statsOf(exchange);
    stats.observe(exchange.status, nowMs - exchange.startMs, exchange.requestBytes, exchange.responseBytes, exchange.reason);
    if (exchange.attempts.length > 1) stats.retries += exchange.attempts.length - 1;
    this.explanations.record(exchange, nowMs);
    if (this.accessLog !== undefined) this.logLine(this.accessLog, exchange, nowMs);
  }

  /** The edge of an exchange; most often that of the one before. */
  private statsOf(exchange: Exchange): EdgeStats {
    const inbound = exchange.listener === 'inbound';
    const reporter = inbound ? 'destination' : 'source';
    const source = inbound ? exchange.peer || 'unknown' : this.self;
    const destination = exchange.service || 'unknown';
    const edge = this.last?.edge;
    if (
      this.last !== undefined &&
      edge?.destination === destination &&
      edge.source === source &&
      edge.mtls === exchange.mtls &&
      edge.reporter === reporter
    ) {
      return this.last;
    }
    this.last = this.edges.get({ reporter, source, destination, mtls: exchange.mtls });
    return this.last;
  }

  private logLine(log: Log, exchange: Exchange, nowMs: number): void {
    const { id, listener, peer, peerAddress, method, host, path, status, reason, service, route } = exchange;
    const details = {
      id, listener, peer, peerAddress, method, host, path, status, reason, service, route,
      durationMs: Number((nowMs - exchange.startMs).toFixed(3)),
      requestBytes: exchange.requestBytes,
      responseBytes: exchange.responseBytes,
      endpoints: exchange.attempts.map(({ endpoint, result }) => `${endpoint} ${result}`),
    };
    log.info(details, 'request');
  }
}

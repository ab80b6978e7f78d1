import type { Exchange } from '../exchange.ts';
import type { Log } from '../log.ts';

/** Writes one line for a request that is over. The query stays out: it may hold secrets. */
export function logRequest(log: Log, exchange: Exchange, nowMs: number): void {
  const {
    id,
    listener,
    peer,
    peerAddress,
    method,
    host,
    path,
    status,
    reason,
    detail,
    service,
    route,
    mtls,
  } = exchange;
  log.info(
    {
      id,
      listener,
      peer,
      peerAddress,
      mtls,
      method,
      host,
      path,
      status,
      ...(exchange.grpcStatus >= 0 && { grpcStatus: exchange.grpcStatus }),
      reason,
      detail,
      service,
      route,
      durationMs: Math.round((nowMs - exchange.startMs) * 1000) / 1000,
      requestBytes: exchange.requestBytes,
      responseBytes: exchange.responseBytes,
      endpoints: exchange.attempts.map(({ endpoint, result }) => `${endpoint} ${result}`),
    },
    'request',
  );
}

/** Writes one line for an opaque connection that is over. */
export function logConnection(log: Log, exchange: Exchange, nowMs: number): void {
  const { id, listener, peer, peerAddress, mtls, host, reason, detail, service, route } = exchange;
  log.info(
    {
      id,
      listener,
      peer,
      peerAddress,
      mtls,
      host,
      reason,
      detail,
      service,
      route,
      durationMs: Math.round((nowMs - exchange.startMs) * 1000) / 1000,
      receivedBytes: exchange.requestBytes,
      sentBytes: exchange.responseBytes,
      endpoints: exchange.attempts.map(({ endpoint, result }) => `${endpoint} ${result}`),
    },
    'connection',
  );
}

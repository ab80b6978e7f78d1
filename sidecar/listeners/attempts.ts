import type { Cluster } from '../balancing/cluster.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { AttemptFailure } from '../filters/retry.ts';
import { HTTP_11 } from '../http/message-head.ts';
import type { Upstream, UpstreamFailure } from '../http/upstream.ts';
import { NO_ERROR } from '../http2/error-codes.ts';
import type { Attempt } from '../telemetry/explanation.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ConnectionWaiter } from '../upstream/pool-use.ts';

/** So often another endpoint is asked for before one is looked up. */
const PICKS = 4;

/**
 * An endpoint for the next attempt of `exchange`: none that was tried for it already, while there is another. The
 * balancer chooses; only where it keeps choosing what was tried, the first that was not is taken.
 */
export function pickUntried(
  cluster: Cluster,
  exchange: Exchange,
  last: Endpoint | undefined,
): Endpoint | undefined {
  let picked = cluster.pick(exchange, last);
  if (exchange.attempts.length === 0) return picked;
  for (let again = 1; again < PICKS && wasTried(exchange, picked); again++)
    picked = cluster.pick(exchange, last);
  return wasTried(exchange, picked) ? (untriedOf(cluster, exchange) ?? picked) : picked;
}

/** Whether there is an endpoint that was not tried. */
export function untriedOf(cluster: Cluster, exchange: Exchange): Endpoint | undefined {
  return cluster.candidates.find((endpoint) => !wasTried(exchange, endpoint));
}

function wasTried({ attempts }: Exchange, endpoint: Endpoint | undefined): boolean {
  return attempts.some(({ endpoint: address }) => address === endpoint?.address);
}

/** An attempt at `endpoint` begins: its cluster is told, and the explanation. */
export function beginAttempt(
  exchange: Exchange,
  cluster: Cluster,
  endpoint: Endpoint,
  nowMs: number,
): Attempt {
  cluster.started(endpoint, nowMs);
  const attempt: Attempt = {
    endpoint: endpoint.address,
    startMs: nowMs - exchange.startMs,
    durationMs: 0,
    result: '',
    connectionReused: true,
  };
  exchange.attempts.push(attempt);
  return attempt;
}

/** `cluster`, if `waiter` waits at `endpoint` for one of its connections, which others have: no endpoint is to blame for that. */
export function fullPoolOf(
  cluster: Cluster | undefined,
  endpoint: Endpoint | undefined,
  waiter: ConnectionWaiter,
): Cluster | undefined {
  return endpoint?.waitsForPlace(waiter) === true ? cluster : undefined;
}

/** What an attempt without a head took, for balancers: who was not waited for is not quicker than it was before. */
export function waitedMs({ ewmaMs }: Endpoint, { durationMs }: Attempt, fault: boolean): number {
  return fault ? durationMs : Math.max(durationMs, ewmaMs);
}

/**
 * An attempt that broke off before its head, and whether its endpoint is to blame: a server may close what is idle, and
 * send its clients to other connections, at any time.
 */
export function brokenOff(
  { problem, refused, resetCode }: UpstreamFailure,
  { answered, requests, version }: Upstream,
): { readonly what: AttemptFailure; readonly fault: boolean } {
  const stale = !answered && requests > 1 && version === HTTP_11 && problem === undefined;
  const what = { kind: refused ? 'refused' : 'reset', status: 0, stale } as const;
  return { what, fault: !stale && !(refused && resetCode === NO_ERROR) };
}

/** What is told of an upstream that broke. */
export function resetAnswer({ error, resetCode }: UpstreamFailure, upstream: Upstream): LocalAnswer {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  const why = code ?? error?.message;
  const broke = why === undefined ? 'closed the connection' : `broke the connection (${why})`;
  const how = resetCode < 0 ? broke : `reset the stream (HTTP/2 error ${resetCode})`;
  const when = upstream.answered ? 'in the middle of its response' : 'before it answered';
  return { status: 502, code: 'upstream-reset', detail: `the upstream ${how} ${when}` };
}

import type { Upstream } from '../http/upstream.ts';
import type { ConnectFailure } from './connect-attempt.ts';

/** Somebody who wants to send a request to an endpoint. */
export interface ConnectionWaiter {
  onConnection(upstream: Upstream): void;
  onConnectFailed(failure: ConnectFailure): void;
}

/** Limits of one service's pools; times in ms. */
export interface PoolLimits {
  connections: number;
  pending: number;
  requests: number;
  connectMs: number;
  idleMs: number;
}

/** What all endpoints of one service share. */
export interface PoolUse {
  connections: number;
  pending: number;
  requests: number;
  /** Opaque streams; each is one of the connections, too. */
  streams: number;
  /** Endpoints whose requests wait for the service's limit of connections. */
  readonly hungry: Set<Hungry>;
  /** Closes an idle connection of any endpoint to make room; false if there is none. */
  freeIdle(): boolean;
}

/** Opens a connection for its waiting requests, if it may now. */
interface Hungry {
  openForWaiting(): void;
}

export function createPoolUse(freeIdle: () => boolean): PoolUse {
  return { connections: 0, pending: 0, requests: 0, streams: 0, hungry: new Set(), freeIdle };
}

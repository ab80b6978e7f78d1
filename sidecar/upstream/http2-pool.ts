import type { Limits } from '../http/limits.ts';
import type { Upstream } from '../http/upstream.ts';
import { Http2ClientConnection, type Http2ConnectionOwner } from '../http2/client-connection.ts';
import { DEFAULT_HTTP2_LIMITS } from '../http2/http2-limits.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import { type ConnectFailure, openTransport } from './connect-attempt.ts';
import type { Connector } from './connector.ts';
import type { ConnectionWaiter, PoolLimits, PoolUse } from './pool-use.ts';

interface Http2PoolParts {
  readonly address: string;
  readonly connector: Connector;
  readonly use: PoolUse;
  readonly limits: PoolLimits;
  readonly engineLimits: Limits;
  readonly wheel: TimerWheel;
}

/** The HTTP/2 connections to one endpoint: one, and another only when its streams are all in use. */
export class Http2Pool implements Http2ConnectionOwner {
  limits: PoolLimits;
  private readonly parts: Http2PoolParts;
  private connector: Connector;
  /** Those that take more streams, or will again. */
  private readonly open: Http2ClientConnection[] = [];
  private readonly waiting: ConnectionWaiter[] = [];
  private opening = 0;
  private retired = false;

  constructor(parts: Http2PoolParts) {
    this.parts = parts;
    this.connector = parts.connector;
    this.limits = parts.limits;
  }

  /** A stream at once, or undefined: then the waiter is called later, or was refused at a limit. */
  acquire(waiter: ConnectionWaiter): Upstream | undefined {
    for (const connection of this.open) if (connection.capacity > 0) return connection.startStream();
    const { use } = this.parts;
    if (use.pending >= this.limits.pending) {
      waiter.onConnectFailed({
        code: 'pool-full',
        detail: `${this.limits.pending} requests wait for a connection already (limits: pending)`,
      });
      return undefined;
    }
    this.waiting.push(waiter);
    use.pending++;
    if (this.expectsCapacity) return undefined;
    if (use.connections < this.limits.connections) this.connect();
    else if (this.open.length === 0) {
      use.hungry.add(this);
      use.freeIdle();
    }
    return undefined;
  }

  /** Opens a connection if there is none, within the service's limit. Returns whether it did. */
  keepWarm(): boolean {
    if (this.open.length > 0 || this.opening > 0) return false;
    if (this.parts.use.connections >= this.limits.connections) return false;
    this.connect();
    return true;
  }

  /** A connection is on its way or has not told how many streams it takes, or a server takes none for now. */
  private get expectsCapacity(): boolean {
    return this.opening > 0 || this.open.some(({ ready, streams }) => !ready || streams === 0);
  }

  /** The waiter waits for a stream that others have, at the service's limit of connections. */
  waitsForPlace(waiter: ConnectionWaiter): boolean {
    return !this.expectsCapacity && this.waiting.includes(waiter);
  }

  cancel(waiter: ConnectionWaiter): void {
    const index = this.waiting.indexOf(waiter);
    if (index < 0) return;
    this.waiting.splice(index, 1);
    this.parts.use.pending--;
    if (this.waiting.length === 0) this.parts.use.hungry.delete(this);
    this.leaveIfRetired();
  }

  private connect(): void {
    const { connector } = this;
    const { address, use, engineLimits, wheel } = this.parts;
    this.opening++;
    use.connections++;
    const engine = { ...engineLimits, idleMs: this.limits.idleMs };
    const connection = new Http2ClientConnection(this, engine, DEFAULT_HTTP2_LIMITS, wheel);
    const target = { connector, address, connectMs: this.limits.connectMs, wheel };
    openTransport(connection, target, {
      onSettled: () => this.opening--,
      onReady: () => this.opened(connection, connector),
      onFailed: (failure) => this.connectFailed(failure),
    });
  }

  /** Whoever waited when another connector came has a stream of a connection that was on its way, and nobody after that. */
  private opened(connection: Http2ClientConnection, connector: Connector): void {
    connection.open(connection.transport);
    this.open.push(connection);
    this.serveWaiting(connection);
    if (connector !== this.connector) this.leave(connection);
  }

  private serveWaiting(connection: Http2ClientConnection): void {
    while (connection.capacity > 0 && this.waiting.length > 0)
      this.nextWaiter()?.onConnection(connection.startStream());
    this.openForWaiting();
    this.leaveIfRetired();
  }

  private nextWaiter(): ConnectionWaiter | undefined {
    const waiter = this.waiting.shift();
    if (waiter !== undefined) this.parts.use.pending--;
    if (this.waiting.length === 0) this.parts.use.hungry.delete(this);
    return waiter;
  }

  /** One connection was meant for all that wait. */
  private connectFailed(failure: ConnectFailure): void {
    const failed = this.waiting.splice(0);
    this.parts.use.pending -= failed.length;
    this.parts.use.hungry.delete(this);
    for (const waiter of failed) waiter.onConnectFailed(failure);
    this.leaveIfRetired();
  }

  onCapacity(connection: Http2ClientConnection): void {
    if (this.waiting.length > 0) this.serveWaiting(connection);
  }

  onGoingAway(connection: Http2ClientConnection, error: Error | undefined): void {
    this.forget(connection, error);
    this.openForWaiting();
  }

  onGone(connection: Http2ClientConnection, error: Error | undefined): void {
    const { use } = this.parts;
    use.connections--;
    this.forget(connection, error);
    this.openForWaiting();
    for (const hungry of use.hungry) hungry.openForWaiting();
  }

  /** A server that never said a word of HTTP/2 would not say one to the next who asks. */
  private forget(connection: Http2ClientConnection, error: Error | undefined): void {
    const index = this.open.indexOf(connection);
    if (index < 0) return;
    this.open.splice(index, 1);
    if (connection.ready) return;
    const why = error?.message ?? 'it closed the connection';
    const detail = `${this.parts.address} did not answer in HTTP/2: ${why}`;
    this.connectFailed({ code: 'connect-failed', detail });
  }

  /** Called when a place in the service's connection limit came free. */
  openForWaiting(): void {
    const { use } = this.parts;
    if (this.waiting.length > 0 && !this.expectsCapacity && use.connections < this.limits.connections)
      this.connect();
  }

  /** Gives the place of a connection without streams away; false if there is none. */
  closeIdle(): boolean {
    const idle = this.open.find(({ streams }) => streams === 0);
    idle?.close();
    return idle !== undefined;
  }

  /** Connections are made by `connector` from now on; those of the old one take no more streams. */
  renew(connector: Connector): void {
    this.connector = connector;
    for (const connection of this.open.splice(0)) connection.close();
    this.openForWaiting();
  }

  private leave(connection: Http2ClientConnection): void {
    const index = this.open.indexOf(connection);
    if (index >= 0) this.open.splice(index, 1);
    connection.close();
    this.openForWaiting();
  }

  /** Nobody comes any more: who waits is served, and what is in flight finishes. */
  retire(): void {
    this.retired = true;
    this.leaveIfRetired();
  }

  private leaveIfRetired(): void {
    if (!this.retired || this.waiting.length > 0) return;
    for (const connection of this.open.splice(0)) connection.close();
  }
}

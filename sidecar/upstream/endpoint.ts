import type { Limits } from '../http/limits.ts';
import { HTTP_2 } from '../http/message-head.ts';
import type { Upstream } from '../http/upstream.ts';
import { ClientConnection, type ConnectionOwner } from '../http1/client-connection.ts';
import { pause } from '../transport/pause.ts';
import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { Circuit } from './circuit.ts';
import { type ConnectFailure, openTransport } from './connect-attempt.ts';
import type { Connector } from './connector.ts';
import { Http2Pool } from './http2-pool.ts';
import { type ConnectionWaiter, createPoolUse, type PoolLimits, type PoolUse } from './pool-use.ts';
import { StreamConnect, type StreamWaiter } from './stream-connect.ts';

/** A server that closes at its own idle limit must not meet a request on the way. */
const KEEP_ALIVE_MARGIN_MS = 1_000;
/** The rest of a response that nobody wants is worth so much waiting, to keep its connection. */
const DISCARD_MS = 2_000;

/** One place where a service runs: its load as the balancer sees it, and its pools of connections. */
export class Endpoint implements ConnectionOwner, Timed {
  readonly address: string;
  /** Its share of the load as it is now: less than `fullWeight` while it starts slowly. */
  weight: number;
  fullWeight: number;
  zone: string | undefined;
  /** In the zone of this proxy. */
  local = false;
  /** Until then it asked to be spared (`Retry-After`); 0: it did not. */
  spareUntilMs = 0;
  identity: string | undefined;
  inFlight = 0;
  ewmaMs = 0;
  stampMs = 0;
  proven = false;
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  /** Open or opening. */
  connections = 0;
  /** Taken out of its service: connections close as they become idle. */
  retired = false;
  /** False: its health check failed. */
  healthy = true;
  /** What its circuit breaker knows of it; absent while it never failed. */
  circuit: Circuit | undefined = undefined;
  private readonly idle: ClientConnection[] = [];
  private readonly waiting: ConnectionWaiter[] = [];
  private opening = 0;
  private connector: Connector;
  private http2Connector: Connector;
  private http2: Http2Pool | undefined = undefined;
  private readonly use: PoolUse;
  private limits: PoolLimits;
  private readonly engineLimits: Limits;
  private readonly wheel: TimerWheel;

  constructor(
    description: {
      address: string;
      weight: number;
      zone?: string | undefined;
      identity?: string | undefined;
    },
    pool: {
      connector: Connector;
      /** For HTTP/2; without it the same. */
      http2Connector?: Connector;
      use: PoolUse;
      limits: PoolLimits;
      engineLimits: Limits;
      wheel: TimerWheel;
    },
  ) {
    this.address = description.address;
    this.weight = description.weight;
    this.fullWeight = description.weight;
    this.zone = description.zone;
    this.identity = description.identity;
    this.connector = pool.connector;
    this.http2Connector = pool.http2Connector ?? pool.connector;
    this.use = pool.use;
    this.limits = pool.limits;
    this.engineLimits = pool.engineLimits;
    this.wheel = pool.wheel;
  }

  /** The same place with pools of their own, which count to no limit of the service: for health checks. */
  apart(limits: PoolLimits): Endpoint {
    const { connector, http2Connector, engineLimits, wheel } = this;
    return new Endpoint(this, {
      connector,
      http2Connector,
      use: createPoolUse(() => false),
      limits,
      engineLimits,
      wheel,
    });
  }

  setLimits(limits: PoolLimits): void {
    this.limits = limits;
    if (this.http2 !== undefined) this.http2.limits = limits;
  }

  /** New connections are made by `connector` from now on; idle ones of the old are closed (a new certificate, say). */
  setConnector(connector: Connector, http2Connector = connector): void {
    this.connector = connector;
    this.http2Connector = http2Connector;
    this.closeIdle();
    this.http2?.renew(http2Connector);
  }

  /** Requests go to it: it is healthy and not ejected. */
  get available(): boolean {
    return this.healthy && this.circuit?.ejected !== true;
  }

  get mtls(): boolean {
    return this.identity !== undefined;
  }

  get idleCount(): number {
    return this.idle.length;
  }

  /**
   * A place for one request at once, or undefined: then one of the waiter's two methods is called later (or, at a
   * limit, before this returns). `version`: of HTTP.
   */
  acquire(waiter: ConnectionWaiter, version: number): Upstream | undefined {
    return version === HTTP_2 ? this.http2Pool().acquire(waiter) : this.acquireConnection(waiter);
  }

  private http2Pool(): Http2Pool {
    this.http2 ??= new Http2Pool({
      address: this.address,
      connector: this.http2Connector,
      use: this.use,
      limits: this.limits,
      engineLimits: this.engineLimits,
      wheel: this.wheel,
    });
    return this.http2;
  }

  private acquireConnection(waiter: ConnectionWaiter): ClientConnection | undefined {
    const now = performance.now();
    for (let connection = this.idle.pop(); connection !== undefined; connection = this.idle.pop()) {
      if (!connection.transport.closed && now < this.expiry(connection)) return connection;
      connection.abandon();
    }
    if (this.use.pending >= this.limits.pending) {
      waiter.onConnectFailed({
        code: 'pool-full',
        detail: `${this.limits.pending} requests wait for a connection already (limits: pending)`,
      });
      return undefined;
    }
    this.waiting.push(waiter);
    this.use.pending++;
    // Whoever gave up has left one on its way. Another handshake for each retry is how an overload feeds itself.
    if (this.opening >= this.waiting.length) return undefined;
    if (this.use.connections < this.limits.connections) this.open();
    else this.starve();
    return undefined;
  }

  /**
   * Opens connections so that there are `count`, in use or not, within the service's limit; by HTTP/2 one. Returns
   * whether it opened any.
   */
  keepWarm(count: number, version: number): boolean {
    if (this.retired) return false;
    if (version === HTTP_2) return this.http2Pool().keepWarm();
    const { connections, use } = this;
    const opened = Math.min(count - connections, this.limits.connections - use.connections);
    for (let left = opened; left > 0; left--) this.open();
    return opened > 0;
  }

  private starve(): void {
    this.use.hungry.add(this);
    this.use.freeIdle();
  }

  /**
   * Opens a connection for an opaque stream, outside the pool. It has its place in the service's limit of
   * connections until it closes. One of the waiter's two methods is called later, or, at the limit, before
   * this returns. `isTls`: the stream is TLS from end to end already. Returns how to give up.
   */
  openStream(waiter: StreamWaiter, isTls = false): () => void {
    const { use, limits } = this;
    // What is freed closes in a moment: the place is taken already.
    if (use.connections >= limits.connections && !use.freeIdle()) {
      waiter.onStreamFailed({
        code: 'pool-full',
        detail: `${use.connections} connections to this service are open (limits: connections ${limits.connections})`,
      });
      return () => {};
    }
    this.connections++;
    use.connections++;
    use.streams++;
    const gone = (): void => {
      this.connections--;
      use.connections--;
      use.streams--;
      this.fillPlace();
    };
    const connector = (isTls ? this.connector.forTls : undefined) ?? this.connector;
    return new StreamConnect(connector, this.address, limits.connectMs, this.wheel, waiter, gone).cancel;
  }

  /** No connect is under way for the waiter: it waits for a connection that others have, at the service's limit. */
  waitsForPlace(waiter: ConnectionWaiter): boolean {
    const index = this.waiting.indexOf(waiter);
    return index < 0 ? this.http2?.waitsForPlace(waiter) === true : index >= this.opening;
  }

  /** The waiter wants no connection any more. */
  cancel(waiter: ConnectionWaiter): void {
    const index = this.waiting.indexOf(waiter);
    if (index < 0) {
      this.http2?.cancel(waiter);
      return;
    }
    this.waiting.splice(index, 1);
    this.use.pending--;
    if (this.waiting.length === 0) this.use.hungry.delete(this);
  }

  private open(): void {
    this.connections++;
    this.opening++;
    this.use.connections++;
    const connection = new ClientConnection(this, this.engineLimits);
    const { connector, address, wheel } = this;
    const target = { connector, address, connectMs: this.limits.connectMs, wheel };
    openTransport(connection, target, {
      onSettled: () => this.opening--,
      onReady: () => this.ready(connection),
      onFailed: (failure) => this.connectFailed(failure),
    });
  }

  private ready(connection: ClientConnection): void {
    const waiter = this.nextWaiter();
    if (waiter === undefined) this.park(connection);
    else waiter.onConnection(connection);
  }

  private nextWaiter(): ConnectionWaiter | undefined {
    const waiter = this.waiting.shift();
    if (waiter !== undefined) this.use.pending--;
    if (this.waiting.length === 0) this.use.hungry.delete(this);
    return waiter;
  }

  private connectFailed(failure: ConnectFailure): void {
    // One attempt was made for one waiter: the others have attempts of their own on the way.
    this.nextWaiter()?.onConnectFailed(failure);
    this.openForWaiting();
  }

  onReusable(connection: ClientConnection): void {
    const waiter = this.waiting.length > 0 ? this.nextWaiter() : undefined;
    if (waiter !== undefined) waiter.onConnection(connection);
    else this.park(connection);
  }

  private park(connection: ClientConnection): void {
    // A connection that idles here would keep another endpoint's requests waiting.
    if (this.retired || this.use.hungry.size > 0) {
      connection.abandon();
      return;
    }
    connection.idleSince = performance.now();
    this.idle.push(connection);
    if (this.wheelSlot < 0) this.wheel.arm(this, this.limits.idleMs);
  }

  onDiscarding(connection: ClientConnection): void {
    const { requests } = connection;
    pause(this.wheel, DISCARD_MS, () => connection.endDiscard(requests));
  }

  onGone(connection: ClientConnection): void {
    this.connections--;
    this.use.connections--;
    const index = this.idle.indexOf(connection);
    if (index >= 0) this.idle.splice(index, 1);
    this.fillPlace();
  }

  /** A place in the service's connection limit came free: first for those who wait here. */
  private fillPlace(): void {
    this.openForWaiting();
    for (const hungry of this.use.hungry) hungry.openForWaiting();
  }

  /** Gives the place of its oldest idle connection away; false if it has none. */
  closeOldestIdle(): boolean {
    const oldest = this.idle.shift();
    oldest?.abandon();
    return oldest !== undefined || this.http2?.closeIdle() === true;
  }

  /** A place in the service's connection limit came free. */
  openForWaiting(): void {
    if (this.opening < this.waiting.length && this.use.connections < this.limits.connections) this.open();
    if (this.opening >= this.waiting.length) this.use.hungry.delete(this);
  }

  private expiry(connection: ClientConnection): number {
    const hint = connection.keepAliveMs;
    const limit =
      hint < 0 ? this.limits.idleMs : Math.min(this.limits.idleMs, Math.max(0, hint - KEEP_ALIVE_MARGIN_MS));
    return connection.idleSince + limit;
  }

  /** Closes what has been idle too long; the oldest lie at the bottom. */
  onDeadline(): void {
    const now = performance.now();
    while (this.idle.length > 0) {
      const oldest = this.idle[0];
      if (oldest === undefined || this.expiry(oldest) > now) break;
      this.idle.shift();
      oldest.abandon();
    }
    const next = this.idle[0];
    if (next !== undefined) this.wheel.arm(this, Math.max(1, this.expiry(next) - now));
  }

  /** No new requests come; what is in flight finishes. */
  retire(): void {
    this.retired = true;
    this.closeIdle();
    this.http2?.retire();
  }

  private closeIdle(): void {
    for (const connection of this.idle.splice(0)) connection.abandon();
    this.wheel.disarm(this);
  }
}

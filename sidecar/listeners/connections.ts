import type { Transport } from '../transport/transport.ts';

/** A downstream connection, of whatever version of HTTP. */
interface Drainable {
  readonly transport: Transport;
  /** No more requests after those in progress. */
  drain(): void;
  /** Serves on, and has its client go elsewhere without losing a request. */
  leave(): void;
}

const LOOK_MS = 20;

/** A socket of which it is not known yet what it speaks. */
interface Arriving {
  destroy(): void;
  /** Closes it if nobody asked anything on it yet. */
  drain?(): void;
}

/** Bytes that pass through. */
interface Tunnel {
  destroy(): void;
  /** Closes it if it leads nowhere yet and nobody waits for it any more. */
  drain?(): void;
}

/** All downstream connections of a data plane, so that they can be counted and drained. */
export class Connections {
  private readonly open = new Map<Transport, Drainable>();
  private readonly tunnels = new Set<Tunnel>();
  private readonly arriving = new Set<Arriving>();
  draining = false;
  private leaving = false;

  get count(): number {
    return this.open.size + this.tunnels.size;
  }

  add(connection: Drainable): void {
    const { transport } = connection;
    if (!transport.closed) {
      this.open.set(transport, connection);
      transport.onGone = this;
    }
    if (this.draining) connection.drain();
    else if (this.leaving) connection.leave();
  }

  /** Takes connections still, and asks their clients to go elsewhere: this workload is about to end. */
  leave(): void {
    if (this.leaving) return;
    this.leaving = true;
    for (const connection of this.open.values()) connection.leave();
  }

  /** By the transport, once it is closed. */
  gone(transport: Transport): void {
    this.open.delete(transport);
  }

  addTunnel(tunnel: Tunnel & { once(event: 'close', listener: () => void): unknown }): void {
    this.tunnels.add(tunnel);
    tunnel.once('close', () => this.tunnels.delete(tunnel));
  }

  /** Nothing was asked on it yet: a drain need not wait for it. Returns how to say that it has arrived. */
  addArriving(socket: Arriving): () => void {
    this.arriving.add(socket);
    return () => this.arriving.delete(socket);
  }

  /** Idle connections close, busy ones after their response; resolves when all are gone or `limitMs` is over. */
  async drain(limitMs: number): Promise<void> {
    this.draining = true;
    for (const connection of this.open.values()) connection.drain();
    for (const socket of this.arriving) socket.drain?.();
    for (const tunnel of this.tunnels) tunnel.drain?.();
    const until = performance.now() + limitMs;
    while (this.count > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    this.destroy();
  }

  destroy(): void {
    for (const transport of this.open.keys()) transport.destroy();
    for (const tunnel of this.tunnels) tunnel.destroy();
    for (const socket of this.arriving) socket.destroy();
  }
}

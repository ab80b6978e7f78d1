import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** How a link treats what passes. */
export type Weather =
  | { readonly kind: 'clear' }
  /** Bytes arrive so much later. */
  | { readonly kind: 'late'; readonly ms: number }
  | { readonly kind: 'narrow'; readonly bytesPerSecond: number }
  /** Connections are taken, and nothing that is sent ever arrives. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'refusing' };

interface Link {
  readonly near: Socket;
  readonly far: Socket | undefined;
  /** Nothing passes any more, and neither side is told. */
  silent: boolean;
}

const CLEAR: Weather = { kind: 'clear' };
const GARBAGE = Buffer.from('\u0000\u00ffGARBAGE \r\n\r\n\u0016\u0003\u0001', 'latin1');

/** A TCP link between a client's sidecar and an endpoint that can be made faulty while it is in use. Needs no root. */
export class FaultProxy {
  readonly address: string;
  weather: Weather = CLEAR;
  /** Connections that were refused, broken or garbled, and pieces that were held up or lost, since the start. */
  felt = 0;
  private readonly server: Server;
  readonly links = new Set<Link>();
  private readonly target: () => string;

  private constructor(server: Server, address: string, target: () => string) {
    this.server = server;
    this.address = address;
    this.target = target;
  }

  /** `target`: HOST:PORT or the path of a Unix socket, asked at each connection. */
  static async open(target: () => string): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('no port');
    const proxy = new FaultProxy(server, `127.0.0.1:${bound.port}`, target);
    server.on('connection', (near) => proxy.join(near));
    return proxy;
  }

  /** Connections whose other side is gone without a word, and that nobody has given up. */
  get halfOpen(): number {
    return [...this.links].filter(({ silent }) => silent).length;
  }

  get connections(): number {
    return this.links.size;
  }

  /** Every connection ends by a TCP reset, on both sides. */
  reset(): void {
    for (const { near, far } of this.links) {
      this.felt++;
      reset(near);
      // A Unix socket knows no reset.
      if (far !== undefined && isPath(this.target())) far.destroy();
      else if (far !== undefined) reset(far);
    }
  }

  /** Every connection loses its far side; the near one is not told, as when a machine loses power. */
  cut(): void {
    for (const link of this.links) {
      fallSilent(link);
      link.far?.destroy();
      // What is sent is taken, as by a kernel's buffer, and goes nowhere.
      link.near.resume();
    }
  }

  /** Bytes that nobody sent come on every connection, both ways. */
  garble(): void {
    for (const { near, far, silent } of this.links) {
      if (silent) continue;
      this.felt++;
      near.write(GARBAGE);
      far?.write(GARBAGE);
    }
  }

  clear(): void {
    this.weather = CLEAR;
  }

  async close(): Promise<void> {
    this.server.close();
    this.reset();
    await once(this.server, 'close');
  }

  private join(near: Socket): void {
    if (this.weather.kind === 'refusing') {
      this.felt++;
      near.on('error', () => {});
      reset(near);
      return;
    }
    const silent = this.weather.kind === 'silent';
    if (silent) this.felt++;
    const far = silent ? undefined : this.connectFar();
    const link: Link = { near, far, silent };
    this.links.add(link);
    near.on('error', () => {});
    near.on('close', () => {
      this.links.delete(link);
      far?.destroy();
    });
    far?.on('close', () => {
      if (!link.silent) near.destroy();
    });
    near.on('end', () => {
      // Whoever gives up a silent connection is let go.
      if (link.silent) near.destroy();
    });
    if (far === undefined) {
      near.resume();
      return;
    }
    this.carry(link, near, far);
    this.carry(link, far, near);
  }

  private connectFar(): Socket {
    const target = this.target();
    const [host = '', port = ''] = target.split(':');
    const where = isPath(target) ? { path: target } : { host, port: Number(port), noDelay: true };
    const far = connect({ ...where, allowHalfOpen: true });
    far.on('error', () => {});
    return far;
  }

  private carry(link: Link, from: Socket, to: Socket): void {
    // Order is kept: what comes later waits for what came before.
    let turn = Promise.resolve();
    const inTurn = (waitMs: number, act: () => void): void => {
      const dueMs = performance.now() + waitMs;
      turn = turn.then(() => until(dueMs)).then(() => (link.silent ? undefined : act()));
    };
    from.on('data', (bytes: Buffer) => {
      const { weather } = this;
      if (weather.kind === 'silent') fallSilent(link);
      if (link.silent || weather.kind === 'late' || weather.kind === 'narrow') this.felt++;
      if (link.silent) return;
      const write = (): void => {
        if (!to.write(bytes)) from.pause();
      };
      if (weather.kind === 'narrow') {
        from.pause();
        inTurn((bytes.length / weather.bytesPerSecond) * 1000, () => {
          to.write(bytes);
          from.resume();
        });
      } else {
        inTurn(weather.kind === 'late' ? weather.ms : 0, write);
      }
    });
    to.on('drain', () => from.resume());
    from.on('end', () => inTurn(this.weather.kind === 'late' ? this.weather.ms : 0, () => to.end()));
  }
}

/** Of a Unix socket. */
function isPath(target: string): boolean {
  return target.startsWith('/');
}

/** libuv resets nothing that has begun a shutdown: Node would never close it, and never end either. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** Whoever has ended its side already has given it up. */
function fallSilent(link: Link): void {
  link.silent = true;
  if (link.near.readableEnded) link.near.destroy();
}

function until(dueMs: number): Promise<void> | undefined {
  const ms = dueMs - performance.now();
  return ms <= 0 ? undefined : new Promise((resolve) => setTimeout(resolve, ms));
}

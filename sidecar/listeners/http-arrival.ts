import type { Socket } from 'node:net';
import type { Limits } from '../http/limits.ts';
import { PREFACE } from '../http2/frame.ts';
import type { Http2Limits } from '../http2/http2-limits.ts';
import { type Timed, unarmed } from '../transport/timer-wheel.ts';
import { Transport, type TransportReader } from '../transport/transport.ts';
import { serveHttp1 } from './accept.ts';
import type { Connections } from './connections.ts';
import type { Relay, RelayHost } from './relay.ts';
import { serveHttp2 } from './serve-http2.ts';

export interface HttpParts {
  readonly host: RelayHost;
  readonly limits: Limits;
  readonly http2: Http2Limits;
  readonly connections: Connections;
}

const PREFACE_BYTES = Buffer.from(PREFACE, 'latin1');

type Served = ReturnType<typeof serveHttp1> | ReturnType<typeof serveHttp2>;

const NOTHING = Buffer.alloc(0);

/** Waits for the first bytes of a connection and serves HTTP/2 to whoever begins with its preface, else HTTP/1.1. */
export class HttpArrival implements TransportReader, Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  private readonly parts: HttpParts;
  private readonly describe: (relay: Relay) => void;
  readonly transport: Transport;
  private leave: () => void = () => {};
  private seen: Buffer | undefined = undefined;

  /** Takes over `socket`. `describe` tells each relay what is known of the caller. */
  constructor(parts: HttpParts, socket: Socket, describe: (relay: Relay) => void) {
    this.parts = parts;
    this.describe = describe;
    Object.assign(this, unarmed());
    this.transport = Transport.adopt(this, socket);
    parts.host.wheel.arm(this, parts.limits.idleMs);
    this.leave = parts.connections.add(this);
  }

  onBytes(bytes: Buffer, start: number, end: number): void {
    if (this.seen !== undefined) {
      const all = Buffer.concat([this.seen, bytes.subarray(start, end)]);
      this.decide(all, 0, all.length);
    } else {
      this.decide(bytes, start, end);
    }
  }

  private decide(bytes: Buffer, start: number, end: number): void {
    const known = Math.min(end - start, PREFACE_BYTES.length);
    // One byte tells most: no method that is in use begins as the preface does.
    const like =
      bytes[start] === PREFACE_BYTES[0] && PREFACE_BYTES.compare(bytes, start, start + known, 0, known) === 0;
    if (!like) this.serve(bytes, start, end, false);
    else if (known === PREFACE_BYTES.length) this.serve(bytes, start, end, true);
    else {
      // The rest must not take longer than a head may, however it trickles in.
      if (this.seen === undefined) this.parts.host.wheel.arm(this, this.parts.limits.headMs);
      this.seen = Buffer.from(bytes.subarray(start, end));
    }
  }

  private serve(bytes: Buffer, start: number, end: number, http2: boolean): Served {
    const { host, limits, connections } = this.parts;
    host.wheel.disarm(this);
    this.leave();
    const open = (reader: TransportReader): Transport => {
      this.transport.reader = reader;
      return this.transport;
    };
    const connection = http2
      ? serveHttp2(host, limits, this.parts.http2, open, this.describe)
      : serveHttp1(host, limits, open, this.describe);
    connections.add(connection);
    if (end > start) connection.onBytes(bytes, start, end);
    return connection;
  }

  /** Nobody said enough in time. */
  onDeadline(): void {
    const { seen } = this;
    if (seen === undefined) this.drain();
    else this.serve(seen, 0, seen.length, false);
  }

  onEnd(): void {
    this.transport.end();
  }

  onDrain(): void {}

  /** Served as a connection without a request, which says goodbye in good order. */
  drain(): void {
    this.serve(NOTHING, 0, 0, false).drain();
  }

  onClosed(): void {
    this.parts.host.wheel.disarm(this);
  }
}

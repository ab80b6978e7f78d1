import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { Transport, TransportReader } from '../transport/transport.ts';

/** How a splice ended: both sides said all, one broke off, or nothing moved for too long. */
export type SpliceEnd = 'done' | 'client-broke' | 'upstream-broke' | 'idle';

/** What a splice tells of itself. */
export interface SpliceOwner {
  /** Bytes came from the client, or from the upstream. */
  onMoved(fromClient: boolean, bytes: number): void;
  /** Both connections are over; called once. */
  onSpliceEnd(end: SpliceEnd, error: Error | undefined): void;
}

/** A read of so many bytes is a stream: the next go into a buffer of the connection's own, which need not be copied. */
const STREAM_BYTES = 16 * 1024;
/** Less than this is talk: an idle connection must not keep a buffer. */
const TALK_BYTES = 4 * 1024;

/**
 * Passes all bytes of two connections on to each other until both ends are done: half-close and
 * backpressure kept. If one breaks off, the other is reset, so that nobody takes a part for the whole.
 */
export class Splice implements Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  private readonly client: Transport;
  private readonly upstream: Transport;
  private readonly owner: SpliceOwner;
  private readonly wheel: TimerWheel;
  private readonly idleMs: number;
  private movedMs = 0;
  private open = 2;
  private end: SpliceEnd = 'done';
  private error: Error | undefined = undefined;

  /**
   * Begins at once; a client that had already sent its FIN has done so. `idleMs`: a splice on which nothing
   * moves for so long ends; 0: never.
   */
  constructor(client: Transport, upstream: Transport, owner: SpliceOwner, wheel: TimerWheel, idleMs: number) {
    this.client = client;
    this.upstream = upstream;
    this.owner = owner;
    this.wheel = wheel;
    this.idleMs = idleMs;
    if (idleMs > 0) {
      this.movedMs = performance.now();
      wheel.arm(this, idleMs);
    }
    client.reader = new Way(this, client, upstream, true);
    upstream.reader = new Way(this, upstream, client, false);
    if (client.ended) upstream.end();
    client.resume();
    upstream.resume();
  }

  moved(fromClient: boolean, bytes: number): void {
    if (this.idleMs > 0) this.movedMs = performance.now();
    this.owner.onMoved(fromClient, bytes);
  }

  /** Something moved without bytes: what was held back for a slow reader has left. */
  drained(): void {
    if (this.idleMs > 0) this.movedMs = performance.now();
  }

  onDeadline(): void {
    const left = this.movedMs + this.idleMs - performance.now();
    if (left > 0) {
      this.wheel.arm(this, left);
      return;
    }
    this.end = 'idle';
    this.client.reset();
    this.upstream.reset();
  }

  closed(client: boolean, error: Error | undefined): void {
    this.open--;
    if (this.open === 1 && this.end === 'done' && !(this.client.ended && this.upstream.ended)) {
      this.end = client ? 'client-broke' : 'upstream-broke';
      this.error = error;
      (client ? this.upstream : this.client).reset();
    }
    if (this.open > 0) return;
    this.wheel.disarm(this);
    this.owner.onSpliceEnd(this.end, this.error);
  }
}

/** One of the two ways: what is read on `source` is written to `target`. */
class Way implements TransportReader {
  private readonly splice: Splice;
  private readonly source: Transport;
  private readonly target: Transport;
  private readonly fromClient: boolean;

  constructor(splice: Splice, source: Transport, target: Transport, fromClient: boolean) {
    this.splice = splice;
    this.source = source;
    this.target = target;
    this.fromClient = fromClient;
  }

  onBytes(bytes: Buffer, start: number, end: number): void {
    const { source, target } = this;
    const count = end - start;
    if (count >= STREAM_BYTES) source.stream(true);
    else if (count < TALK_BYTES) source.stream(false);
    if (!target.forward(source, bytes, start, end)) source.pause();
    this.splice.moved(this.fromClient, count);
  }

  onEnd(): void {
    this.target.end();
  }

  /** What was written to `source` has left: the other way goes on. */
  onDrain(): void {
    this.target.resume();
    this.splice.drained();
  }

  onClosed(error: Error | undefined): void {
    this.splice.closed(this.fromClient, error);
  }
}

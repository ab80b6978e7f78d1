import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { Transport, TransportReader } from '../transport/transport.ts';
import { type ProxyHeader, readProxyHeader } from './proxy-header.ts';

const NOTHING = Buffer.alloc(0);

/** Reads the header before an opaque stream, then hands the stream on, once. */
export class ProxyHeaderReader implements TransportReader, Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  private readonly wheel: TimerWheel;
  private readonly onHeader: (header: ProxyHeader, rest: Buffer) => void;
  private readonly onNone: (why: string) => void;
  private readonly limitMs: number;
  private seen: Buffer = NOTHING;

  /** `onHeader`: the header and what came after it; who gets it sets another reader. `onNone`: none came within `limitMs`. */
  constructor(
    wheel: TimerWheel,
    limitMs: number,
    onHeader: (header: ProxyHeader, rest: Buffer) => void,
    onNone: (why: string) => void,
  ) {
    this.wheel = wheel;
    this.limitMs = limitMs;
    this.onHeader = onHeader;
    this.onNone = onNone;
  }

  open(transport: Transport): void {
    transport.reader = this;
    this.wheel.arm(this, this.limitMs);
  }

  onBytes(bytes: Buffer, start: number, end: number): void {
    this.seen = Buffer.concat([this.seen, bytes.subarray(start, end)]);
    const read = readProxyHeader(this.seen);
    if (read === 'more') return;
    this.wheel.disarm(this);
    if (read === undefined) this.onNone('what came is no header of an opaque stream');
    else this.onHeader(read.header, this.seen.subarray(read.length));
  }

  onDeadline(): void {
    this.onNone(`no header of an opaque stream came within ${this.limitMs} ms`);
  }

  onEnd(): void {
    this.wheel.disarm(this);
    this.onNone('it ended before its header did');
  }

  onDrain(): void {}

  onClosed(): void {
    this.wheel.disarm(this);
  }
}

import type { Transport } from '../transport/transport.ts';

/** What is gathered goes out when it is more. Holds a whole read of DATA (64 KiB) with its frame headers. */
const OUTPUT_BYTES = 68 * 1024;
/** Buffers without bytes in them, for whichever connection writes next: as many as write in one turn. */
const FREE_BUFFERS = 16;
const NOTHING = Buffer.alloc(0);

const free: Buffer[] = [];
let waiting: Output[] = [];

/** What a connection sends: frames are put together in one buffer, which leaves once a turn of the event loop. */
export class Output {
  /** Frames are written from `used` on. `reserve` and `grow` may replace it. */
  buffer: Buffer = NOTHING;
  used = 0;
  /** Counts the buffers that left: a frame can be changed while this is the same. */
  generation = 0;
  private readonly transport: Transport;
  private readonly limit: number;
  private readonly onFlood: () => void;
  private scheduled = false;

  /** `onFlood` is called when more than `limit` bytes wait for a peer that does not read. */
  constructor(transport: Transport, limit: number, onFlood: () => void) {
    this.transport = transport;
    this.limit = limit;
    this.onFlood = onFlood;
  }

  /** Makes room for `bytes` and returns where they begin. */
  reserve(bytes: number): number {
    if (this.used + bytes > this.buffer.length) {
      this.flush();
      if (bytes > OUTPUT_BYTES) this.buffer = Buffer.allocUnsafeSlow(bytes);
      else if (this.buffer.length === 0) this.buffer = free.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BYTES);
    }
    if (!this.scheduled) {
      this.scheduled = true;
      if (waiting.push(this) === 1) setImmediate(Output.flushAll);
    }
    return this.used;
  }

  /** One write a connection for all that was read in one turn of the event loop, whatever connections it came from. */
  private static flushAll(): void {
    const due = waiting;
    waiting = [];
    for (const output of due) {
      output.scheduled = false;
      output.flush();
    }
  }

  /** Makes room for `bytes` at `at`, in the middle of a frame. */
  grow(at: number, bytes: number): void {
    if (at + bytes <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(at + bytes, this.buffer.length * 2));
    this.buffer.copy(larger, 0, 0, at);
    this.buffer = larger;
  }

  flush(): void {
    const { buffer, used, transport } = this;
    if (used === 0) return;
    this.buffer = NOTHING;
    this.used = 0;
    this.generation++;
    if (this.send(buffer, used) && buffer.length === OUTPUT_BYTES && free.length < FREE_BUFFERS)
      free.push(buffer);
    if (transport.socket.writableLength > this.limit) this.onFlood();
  }

  /** Whether `buffer` can be used again: a write that the kernel takes whole is over when it returns. */
  private send(buffer: Buffer, used: number): boolean {
    const { socket } = this.transport;
    const atOnce = socket.writableLength === 0 && !('encrypted' in socket) && !socket.connecting;
    this.transport.write(atOnce ? buffer.subarray(0, used) : Buffer.from(buffer.subarray(0, used)));
    return !atOnce || socket.writableLength === 0;
  }
}

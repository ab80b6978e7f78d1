/** What comes within so long goes together, in ms. */
const GATHER_MS = 4;
/** No more go together: others have to wait for a script to end. */
const MAX_SIZE = 512;

/** Of a key to which something was sent lately: what came since then. */
interface Batch<T> {
  waiting: T[];
  size: number;
  timer: NodeJS.Timeout;
}

/**
 * Gathers what comes at about the same time, for each key apart. Who comes when nothing was sent lately does not wait;
 * others wait until `GATHER_MS` after what was sent last.
 */
export class Batches<T> {
  private readonly batches = new Map<string, Batch<T>>();
  private readonly send: (key: string, batch: readonly T[]) => void;

  constructor(send: (key: string, batch: readonly T[]) => void) {
    this.send = send;
  }

  /** `size`: how much work it is, at least 1. */
  add(key: string, one: T, size: number): void {
    const batch = this.batches.get(key);
    if (batch === undefined) {
      this.batches.set(key, { waiting: [], size: 0, timer: this.flushIn(key) });
      this.send(key, [one]);
      return;
    }
    batch.waiting.push(one);
    batch.size += size;
    if (batch.size < MAX_SIZE) return;
    clearTimeout(batch.timer);
    this.flush(key);
  }

  /** What waits is never sent. */
  close(): readonly T[] {
    const left = [...this.batches.values()];
    for (const { timer } of left) clearTimeout(timer);
    this.batches.clear();
    return left.flatMap(({ waiting }) => waiting);
  }

  private flushIn(key: string): NodeJS.Timeout {
    return setTimeout(() => this.flush(key), GATHER_MS);
  }

  private flush(key: string): void {
    const { waiting = [] } = this.batches.get(key) ?? {};
    if (waiting.length === 0) {
      this.batches.delete(key);
      return;
    }
    this.batches.set(key, { waiting: [], size: 0, timer: this.flushIn(key) });
    this.send(key, waiting);
  }
}

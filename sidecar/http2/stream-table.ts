/** What a table keeps: it is linked through its own field. */
interface Linked<T> {
  readonly id: number;
  /** The next of the same bucket; the table's own to change. */
  nextInTable: T | undefined;
}

const BUCKETS = 64;

/**
 * Streams by their ids. A Map would do but for the collector: it moves to a new table every few deletions, each
 * old table holds on to the next and to its entries, and once one of them is old, all later streams are kept
 * until the next full collection.
 */
export class StreamTable<T extends Linked<T>> {
  size = 0;
  private buckets = new Array<T | undefined>(BUCKETS).fill(undefined);

  get(id: number): T | undefined {
    let stream = this.buckets[this.bucket(id)];
    while (stream !== undefined && stream.id !== id) stream = stream.nextInTable;
    return stream;
  }

  /** The id must not be in the table yet. */
  add(stream: T): void {
    if (this.size >= this.buckets.length) this.grow();
    const bucket = this.bucket(stream.id);
    stream.nextInTable = this.buckets[bucket];
    this.buckets[bucket] = stream;
    this.size++;
  }

  /** Nothing happens if it is not there. */
  remove(stream: T): void {
    const bucket = this.bucket(stream.id);
    let before: T | undefined;
    let found = this.buckets[bucket];
    while (found !== undefined && found !== stream) {
      before = found;
      found = found.nextInTable;
    }
    if (found === undefined) return;
    if (before === undefined) this.buckets[bucket] = found.nextInTable;
    else before.nextInTable = found.nextInTable;
    found.nextInTable = undefined;
    this.size--;
  }

  /** All streams, in no order: a copy, so that they may be removed meanwhile. */
  all(): T[] {
    const streams: T[] = [];
    for (let stream of this.buckets) {
      for (; stream !== undefined; stream = stream.nextInTable) streams.push(stream);
    }
    return streams;
  }

  clear(): void {
    for (const stream of this.all()) stream.nextInTable = undefined;
    this.buckets.fill(undefined);
    this.size = 0;
  }

  private bucket(id: number): number {
    // Ids of one side are all odd or all even.
    return (id >>> 1) & (this.buckets.length - 1);
  }

  private grow(): void {
    const streams = this.all();
    this.buckets = new Array<T | undefined>(this.buckets.length * 2).fill(undefined);
    this.size = 0;
    for (const stream of streams) this.add(stream);
  }
}

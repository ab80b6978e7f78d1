const LEAST_CHUNK = 1024;
const MOST_CHUNK = 16 * 1024;

/** Copies of ranges, one after the other, in few buffers: thousands of pieces of a byte cost little more than their bytes. */
export class PackedBytes {
  length = 0;
  private readonly chunks: Buffer[] = [];
  /** Bytes of the last chunk that are used. */
  private used = 0;

  add(bytes: Buffer, start: number, end: number): void {
    let at = start;
    const last = this.chunks.at(-1);
    if (last !== undefined) {
      const copied = bytes.copy(last, this.used, at, Math.min(end, at + last.length - this.used));
      this.used += copied;
      at += copied;
    }
    if (at < end) this.addChunk(bytes, at, end);
    this.length += end - start;
  }

  private addChunk(bytes: Buffer, start: number, end: number): void {
    // It doubles what is kept, so that little stays small and much is in few pieces.
    const size = Math.max(end - start, Math.min(Math.max(this.length, LEAST_CHUNK), MOST_CHUNK));
    const chunk = Buffer.allocUnsafe(size);
    this.used = bytes.copy(chunk, 0, start, end);
    this.chunks.push(chunk);
  }

  /** All that is kept, in order. */
  *pieces(): Generator<Buffer> {
    const { chunks, used } = this;
    for (const [index, chunk] of chunks.entries())
      yield index === chunks.length - 1 ? chunk.subarray(0, used) : chunk;
  }

  /** Takes the first piece out; undefined: nothing is kept. */
  shift(): Buffer | undefined {
    const first = this.chunks.shift();
    if (first === undefined) return undefined;
    const piece = this.chunks.length === 0 ? first.subarray(0, this.used) : first;
    this.length -= piece.length;
    return piece;
  }

  clear(): void {
    this.chunks.length = 0;
    this.length = 0;
    this.used = 0;
  }
}

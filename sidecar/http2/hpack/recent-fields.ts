const SLOTS = 256;

/** Hashes of fields that were met of late: what comes a second time is likely to come again. */
export class RecentFields {
  private readonly hashes = new Uint32Array(SLOTS);

  /** Whether a field of this hash was met of late; from now on it was. */
  meet(hash: number): boolean {
    const slot = hash & (SLOTS - 1);
    if (this.hashes[slot] === hash) return true;
    this.hashes[slot] = hash;
    return false;
  }
}

/** Who drew within so long shares what there is, in ms. */
const RECENT_MS = 1_000;
/** More are counted as so many. */
const MAX_DRAWERS = 256;

/** One of those who draw on a bucket, at a draw. */
export interface Drawer {
  /** How many draw on it lately, this one included. */
  readonly sharers: number;
  /** How long ago this one drew before, in ms; Infinity: not lately. */
  readonly sinceMs: number;
}

/** Who draws on one bucket now: a share of it is for each. */
export class Drawers {
  private readonly lastMs = new Map<string, number>();

  /** Notes a draw. */
  drew(member: string, nowMs: number): Drawer {
    const sinceMs = nowMs - (this.lastMs.get(member) ?? Number.NEGATIVE_INFINITY);
    // The order is that of their last draws.
    this.lastMs.delete(member);
    for (const [name, lastMs] of this.lastMs) {
      if (nowMs - lastMs <= RECENT_MS) break;
      this.lastMs.delete(name);
    }
    if (this.lastMs.size < MAX_DRAWERS) this.lastMs.set(member, nowMs);
    return { sharers: Math.max(1, this.lastMs.size), sinceMs };
  }
}

/** Who drew within so long shares what there is, in ms. */
const RECENT_MS = 1_000;
/** More are counted as so many. */
const MAX_DRAWERS = 256;

/** Who draws on one bucket now: a share of it is for each. */
export class Drawers {
  private readonly lastMs = new Map<string, number>();

  /** Notes a draw. Returns how many drew lately, this one included. */
  drew(member: string, nowMs: number): number {
    // The order is that of their last draws.
    this.lastMs.delete(member);
    for (const [name, lastMs] of this.lastMs) {
      if (nowMs - lastMs <= RECENT_MS) break;
      this.lastMs.delete(name);
    }
    if (this.lastMs.size < MAX_DRAWERS) this.lastMs.set(member, nowMs);
    return Math.max(1, this.lastMs.size);
  }
}

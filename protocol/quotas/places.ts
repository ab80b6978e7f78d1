/** Who holds how many places of a limit of `concurrency`. Places whose holder is not heard of come back. */
export class Places {
  private readonly holders = new Map<string, { readonly count: number; readonly untilMs: number }>();

  refresh(nowMs: number): void {
    for (const [name, { untilMs }] of this.holders) if (untilMs <= nowMs) this.holders.delete(name);
  }

  heldBy(name: string): number {
    return this.holders.get(name)?.count ?? 0;
  }

  /** Held by all. */
  held(): number {
    let sum = 0;
    for (const { count } of this.holders.values()) sum += count;
    return sum;
  }

  hold(name: string, count: number, untilMs: number): void {
    if (count === 0) this.holders.delete(name);
    else this.holders.set(name, { count, untilMs });
  }

  /** How long until the last of them comes back by itself, in ms. */
  resetMs(nowMs: number): number {
    let last = nowMs;
    for (const { untilMs } of this.holders.values()) last = Math.max(last, untilMs);
    return last - nowMs;
  }
}

/** From one line of log about a protection to the next. */
const TELL_MS = 10_000;

/** How often each protection acted against a peer. */
export class Protections {
  private readonly counts = new Map<string, number>();
  private readonly toldMs = new Map<string, number>();

  count(protection: string): void {
    this.counts.set(protection, (this.counts.get(protection) ?? 0) + 1);
  }

  /** Whether it is time for a line of log about it: an attacker must not fill the log. */
  mayTell(protection: string, nowMs: number): boolean {
    if (nowMs - (this.toldMs.get(protection) ?? Number.NEGATIVE_INFINITY) < TELL_MS) return false;
    this.toldMs.set(protection, nowMs);
    return true;
  }

  all(): Record<string, number> {
    return Object.fromEntries(this.counts);
  }
}

/** How often each protection acted against a peer. */
export class Protections {
  private readonly counts = new Map<string, number>();

  count(protection: string): void {
    this.counts.set(protection, (this.counts.get(protection) ?? 0) + 1);
  }

  all(): Record<string, number> {
    return Object.fromEntries(this.counts);
  }
}

/** What first bytes were found to be, by listener: numbers, read when scraped. */
export class Detections {
  /** Connections on which nothing that tells came in time, by listener. */
  readonly timeouts = new Map<string, number>();
  private readonly counts = new Map<string, Map<string, number>>();
  private readonly hinted = new Set<string>();

  count(listener: string, protocol: string): void {
    let counts = this.counts.get(listener);
    if (counts === undefined) {
      counts = new Map();
      this.counts.set(listener, counts);
    }
    counts.set(protocol, (counts.get(protocol) ?? 0) + 1);
  }

  countTimeout(listener: string): void {
    this.timeouts.set(listener, (this.timeouts.get(listener) ?? 0) + 1);
  }

  *protocols(): Generator<{ listener: string; protocol: string; count: number }> {
    for (const [listener, counts] of this.counts)
      for (const [protocol, count] of counts) yield { listener, protocol, count };
  }

  /** Whether nobody was told yet how to mark `service`: true once for each. */
  firstHint(service: string): boolean {
    if (this.hinted.has(service)) return false;
    this.hinted.add(service);
    return true;
  }
}

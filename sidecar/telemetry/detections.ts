/** What first bytes were found to be, by listener: numbers, read when scraped. */
export class Detections {
  private readonly counts = new Map<string, number>();
  private readonly timedOut = new Map<string, number>();
  private readonly hinted = new Set<string>();

  count(listener: string, protocol: string): void {
    const key = `${listener} ${protocol}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  countTimeout(listener: string): void {
    this.timedOut.set(listener, (this.timedOut.get(listener) ?? 0) + 1);
  }

  /** By `listener protocol`. */
  protocols(): Record<string, number> {
    return Object.fromEntries(this.counts);
  }

  /** Connections on which nothing that tells came in time, by listener. */
  timeouts(): Record<string, number> {
    return Object.fromEntries(this.timedOut);
  }

  /** Whether nobody was told yet how to mark `service`: true once for each. */
  firstHint(service: string): boolean {
    if (this.hinted.has(service)) return false;
    this.hinted.add(service);
    return true;
  }
}

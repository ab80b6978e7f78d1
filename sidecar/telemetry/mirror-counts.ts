/** What became of a copy. */
export type MirrorResult =
  /** A whole response came, whatever its status. */
  | 'answered'
  /** No connection, or it broke before the end of the response. */
  | 'failed'
  | 'timed-out'
  /** Nothing to send to: unknown, without endpoints, at its limits. */
  | 'unavailable'
  /** The body is larger than a copy may be. */
  | 'too-large'
  /** All copies together hold as much as they may. */
  | 'no-room'
  /** The request ended before its body did. */
  | 'incomplete';

/** Copies of requests by the service that should get them and by what became of them: numbers, read when scraped. */
export class MirrorCounts {
  private readonly counts = new Map<string, number>();

  count(service: string, result: MirrorResult): void {
    const key = `${service} ${result}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
  }

  /** By `service result`. */
  all(): Record<string, number> {
    return Object.fromEntries(this.counts);
  }
}

const FIRST_MS = 100;
const LAST_MS = 10_000;
/** Who ran so long does not fail at its start. */
const STABLE_MS = 60_000;

/** How long to wait before a worker is started again. */
export class RestartBackoff {
  private failures = 0;

  /** `ranMs`: how long the process ran that has ended. */
  next(ranMs: number): number {
    if (ranMs >= STABLE_MS) this.failures = 0;
    return Math.min(LAST_MS, FIRST_MS * 2 ** this.failures++);
  }
}

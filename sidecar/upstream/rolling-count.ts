/**
 * Attempts and failures of late. Time is counted in halves of a window, by their number; what is older than the half
 * before this one is forgotten.
 */
export class RollingCount {
  private half = 0;
  private attempts = 0;
  private failures = 0;
  private attemptsBefore = 0;
  private failuresBefore = 0;

  add(half: number, failed: boolean): void {
    if (half !== this.half) this.roll(half);
    this.attempts++;
    if (failed) this.failures++;
  }

  attemptsAt(half: number): number {
    if (half !== this.half) this.roll(half);
    return this.attempts + this.attemptsBefore;
  }

  failuresAt(half: number): number {
    if (half !== this.half) this.roll(half);
    return this.failures + this.failuresBefore;
  }

  /** As if what `other` counted had not been. */
  subtract(other: RollingCount, half: number): void {
    for (const one of [this, other]) if (half !== one.half) one.roll(half);
    this.attempts -= other.attempts;
    this.failures -= other.failures;
    this.attemptsBefore -= other.attemptsBefore;
    this.failuresBefore -= other.failuresBefore;
  }

  clear(): void {
    this.attempts = this.failures = this.attemptsBefore = this.failuresBefore = 0;
  }

  private roll(half: number): void {
    const next = half === this.half + 1;
    this.attemptsBefore = next ? this.attempts : 0;
    this.failuresBefore = next ? this.failures : 0;
    this.attempts = 0;
    this.failures = 0;
    this.half = half;
  }
}

import type { Pending } from './plan.ts';

/** How long requests wait for something that is asked for the first time. */
const FIRST_USE_MS = 3_000;

/**
 * Requests that wait for the first word about a service or a Gateway. Only who asks at first waits: a
 * control plane that is away must not hold up every request.
 */
export class FirstWord implements Pending {
  private readonly sinceMs = performance.now();
  private readonly waiting = new Set<() => void>();

  /** How long it has been asked for, in ms. */
  get ageMs(): number {
    return performance.now() - this.sinceMs;
  }

  /** Whether it is still worth waiting. */
  get mayCome(): boolean {
    return this.ageMs < FIRST_USE_MS;
  }

  /** Whether somebody waits for it. */
  get awaited(): boolean {
    return this.waiting.size > 0;
  }

  wait(proceed: () => void): () => void {
    const waiter = (): void => {
      clearTimeout(timer);
      this.waiting.delete(waiter);
      proceed();
    };
    const timer = setTimeout(waiter, FIRST_USE_MS + 1);
    this.waiting.add(waiter);
    return () => {
      clearTimeout(timer);
      this.waiting.delete(waiter);
    };
  }

  /** It came, or it is known not to come. */
  wake(): void {
    // One that goes on may cancel another.
    for (const waiter of [...this.waiting]) if (this.waiting.has(waiter)) waiter();
  }
}

const FIRST_BACKOFF_MS = 200;
const LAST_BACKOFF_MS = 60_000;
const MAX_AT_ONCE = 4;

export interface WorkQueueOptions {
  /** Puts right what a key names, whatever it is. Rejects: it is done again later. */
  readonly work: (key: string) => Promise<void>;
  readonly onFailure: (key: string, error: unknown) => void;
  /** First wait after a failure; it doubles. */
  readonly backoffMs?: number;
}

/** Work by keys: of one key never twice at once, again when it was asked for meanwhile, and later after a failure. */
export class WorkQueue {
  private readonly options: WorkQueueOptions;
  private readonly waiting = new Set<string>();
  private readonly running = new Set<string>();
  private readonly delayed = new Map<string, NodeJS.Timeout>();
  private readonly failures = new Map<string, number>();
  private closed = false;

  constructor(options: WorkQueueOptions) {
    this.options = options;
  }

  /** Also while it waits after a failure: what it failed for may be mended. */
  add(key: string): void {
    if (this.closed) return;
    clearTimeout(this.delayed.get(key));
    this.delayed.delete(key);
    this.waiting.add(key);
    this.proceed();
  }

  /** Whether the last attempt failed and the next one is waited for. */
  isDelayed(key: string): boolean {
    return this.delayed.has(key);
  }

  close(): void {
    this.closed = true;
    this.waiting.clear();
    for (const timer of this.delayed.values()) clearTimeout(timer);
  }

  private proceed(): void {
    for (const key of this.waiting) {
      if (this.running.size >= MAX_AT_ONCE) return;
      if (this.running.has(key)) continue;
      this.waiting.delete(key);
      this.running.add(key);
      void this.attempt(key).finally(() => {
        this.running.delete(key);
        this.proceed();
      });
    }
  }

  private async attempt(key: string): Promise<void> {
    const { work, onFailure, backoffMs = FIRST_BACKOFF_MS } = this.options;
    try {
      await work(key);
      this.failures.delete(key);
    } catch (error) {
      if (this.closed) return;
      const failures = this.failures.get(key) ?? 0;
      this.failures.set(key, failures + 1);
      const waitMs = Math.min(LAST_BACKOFF_MS, backoffMs * 2 ** failures);
      this.delayed.set(
        key,
        setTimeout(() => this.add(key), waitMs * (0.5 + Math.random() / 2)),
      );
      onFailure(key, error);
    }
  }
}

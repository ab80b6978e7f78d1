import { type Account, ASKS, type Waiting } from './account.ts';
import { ADMITTED, decide, WAITS } from './decide.ts';

/** A request that waits until the store has said what it may. */
export class Waiter implements Waiting {
  readonly accounts: readonly Account[];
  readonly sinceMs: number;
  over = false;
  private readonly decided: (refusedBy: Account | undefined, nowMs: number) => void;

  /** `decided` is called once, with the account that has no token, or undefined if all had one and it was taken. */
  constructor(
    accounts: readonly Account[],
    sinceMs: number,
    decided: (refusedBy: Account | undefined, nowMs: number) => void,
  ) {
    this.accounts = accounts;
    this.sinceMs = sinceMs;
    this.decided = decided;
  }

  wake(nowMs: number): void {
    if (this.over) return;
    const verdict = decide(this.accounts, nowMs, true);
    if (verdict === WAITS) this.ask(nowMs);
    else this.end(verdict === ADMITTED ? undefined : verdict, nowMs);
  }

  /** It is not wanted any more. */
  cancel(): void {
    this.over = true;
  }

  /** Leases are drawn at once; what is granted for this request only is asked for when the rest is there. */
  private ask(nowMs: number): void {
    const asking = this.accounts.filter((account) => account.lookAgain(nowMs) === ASKS);
    const leases = asking.filter(({ exact }) => !exact);
    for (const [index, account] of (leases.length > 0 ? leases : asking).entries())
      account.ask(this, index === 0);
  }

  private end(refusedBy: Account | undefined, nowMs: number): void {
    this.over = true;
    this.decided(refusedBy, nowMs);
  }
}

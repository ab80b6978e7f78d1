import { type Account, ASKS, REFUSED } from './account.ts';

/** All have a token, and one was taken of each. */
export const ADMITTED = 'admitted';
/** The store must be asked. */
export const WAITS = 'waits';

/**
 * All or nothing: takes one of each account if all have one; else takes nothing, and says which has none or that the
 * store must be asked. `again`: for a request that was looked at before.
 */
export function decide(
  accounts: readonly Account[],
  nowMs: number,
  again = false,
): Account | typeof ADMITTED | typeof WAITS {
  let asks = false;
  for (const account of accounts) {
    const look = again ? account.lookAgain(nowMs) : account.look(nowMs);
    if (look === REFUSED) return account;
    if (look === ASKS) asks = true;
  }
  if (asks) return WAITS;
  for (const account of accounts) account.take(nowMs);
  return ADMITTED;
}

import type { Invariant } from '../evidence.ts';
import { explained } from './explained.ts';
import { memoryBounded } from './memory-bounded.ts';
import { noCrash } from './no-crash.ts';
import { noLostRequest } from './no-lost-request.ts';
import { noMixUp } from './no-mix-up.ts';
import { once } from './once.ts';
import { quotaUsed } from './quota-used.ts';
import { quotasKept } from './quotas.ts';
import { recovered } from './recovered.ts';
import { retryBudget } from './retry-budget.ts';

export const INVARIANTS: readonly Invariant[] = [
  noLostRequest,
  noMixUp,
  once,
  retryBudget,
  quotasKept,
  quotaUsed,
  memoryBounded,
  recovered,
  noCrash,
  explained,
];

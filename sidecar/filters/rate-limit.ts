import { limitWords } from '../../protocol/quotas/limit-words.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import type { Exchange, LocalAnswer } from '../exchange.ts';
import type { Account, Quota, QuotaSource } from '../quotas/account.ts';
import { ADMITTED, decide, WAITS } from '../quotas/decide.ts';
import { Waiter } from '../quotas/waiter.ts';
import type { PolicyNote } from '../telemetry/explanation.ts';
import { type ExchangeControl, type Filter, LATER } from './filter.ts';
import { fieldNames, limitField, policyField, refusalFields } from './rate-limit-fields.ts';
import { type SubjectOf, subjectOf } from './rate-limit-subject.ts';

export const RATE_LIMIT = 'rate-limit';

/** One limit, compiled. */
interface Limit {
  readonly quota: Quota;
  readonly subjectOf: SubjectOf;
  /** As it is written, and whose it is. */
  readonly words: string;
  /** In fields of responses. */
  readonly name: string;
  readonly admitted: PolicyNote;
  readonly counts: boolean;
}

/** Admits no more requests than the limits of a service allow: all of them, or it takes of none. */
export function rateLimit(service: string, limits: readonly RateLimit[], source: QuotaSource): Filter {
  const limiter = new RateLimiter(service, limits, source);
  return {
    name: RATE_LIMIT,
    onRequest: (exchange, control) => limiter.onRequest(exchange, control),
    onEnd: (exchange) => limiter.onEnd(exchange),
  };
}

class RateLimiter {
  private readonly enforced: readonly Limit[];
  private readonly dryRun: readonly Limit[];
  private readonly policies: string;
  /** Of the request that is being decided. */
  private readonly accounts: Account[] = [];

  constructor(service: string, limits: readonly RateLimit[], source: QuotaSource) {
    const names = fieldNames(limits);
    const quotas = source.quotasOf(service, limits);
    const all = limits.map((limit, index): Limit => {
      const words = `${limitWords(limit)} of ${service}`;
      return {
        quota: quotas[index] as Quota, // one for each limit
        subjectOf: subjectOf(limit.by),
        words,
        name: names[index] ?? '',
        admitted: { policy: RATE_LIMIT, decision: 'admitted', detail: words },
        counts: limit.algorithm === 'concurrency',
      };
    });
    this.enforced = all.filter(({ quota }) => !quota.limit.dryRun);
    this.dryRun = all.filter(({ quota }) => quota.limit.dryRun);
    this.policies = policyField(this.enforced.map(({ quota, name }) => ({ limit: quota.limit, name })));
  }

  onRequest(exchange: Exchange, control: ExchangeControl): undefined | LocalAnswer | typeof LATER {
    const nowMs = performance.now();
    for (const limit of this.dryRun) countOnly(limit, exchange, nowMs);
    const { enforced, accounts } = this;
    if (enforced.length === 0) return undefined;
    for (let index = 0; index < enforced.length; index++) {
      const { quota, subjectOf } = enforced[index] as Limit; // within its length
      accounts[index] = quota.account(subjectOf(exchange), nowMs);
    }
    const verdict = decide(accounts, nowMs);
    if (verdict === ADMITTED) return this.admit(exchange, accounts, nowMs);
    if (verdict !== WAITS) return this.refuse(exchange, accounts, verdict, nowMs);
    this.wait(exchange, control, accounts.slice(), nowMs);
    return LATER;
  }

  onEnd({ held }: Exchange): void {
    if (held === undefined || held.length === 0) return;
    const nowMs = performance.now();
    for (const one of held) one.release(nowMs);
    held.length = 0;
  }

  private wait(
    exchange: Exchange,
    control: ExchangeControl,
    accounts: readonly Account[],
    sinceMs: number,
  ): void {
    for (const { quota } of accounts) quota.numbers.waited++;
    const waiter = new Waiter(accounts, sinceMs, (refusedBy, nowMs) => {
      exchange.held?.splice(exchange.held.indexOf(waiting), 1);
      if (refusedBy !== undefined) {
        control.answer(this.refuse(exchange, accounts, refusedBy, nowMs));
        return;
      }
      this.admit(exchange, accounts, nowMs);
      control.resume();
    });
    const waiting = { release: () => waiter.cancel() };
    exchange.hold(waiting);
    waiter.wake(sinceMs);
  }

  private admit(exchange: Exchange, accounts: readonly Account[], nowMs: number): undefined {
    const { enforced } = this;
    for (let index = 0; index < enforced.length; index++) {
      const limit = enforced[index] as Limit; // within its length
      const account = accounts[index] as Account; // one for each
      const { numbers } = limit.quota;
      numbers.admitted++;
      if (account.outage === '') exchange.policies.push(limit.admitted);
      else {
        numbers.outage++;
        exchange.note(RATE_LIMIT, 'admitted', `${limit.words}: ${withoutStore(account)}`);
      }
      if (limit.counts) exchange.hold(account);
      exchange.responseFields += limitField(limit.name, account, nowMs);
    }
  }

  private refuse(
    exchange: Exchange,
    accounts: readonly Account[],
    account: Account,
    nowMs: number,
  ): LocalAnswer {
    const limit = this.enforced[accounts.indexOf(account)] as Limit; // it is one of them
    limit.quota.numbers.refused++;
    if (account.outage !== '') limit.quota.numbers.outage++;
    const retryAfterMs = account.retryAfterMs(nowMs);
    const detail = `${limit.words} (tulle.dev/rate-limit) ${whyRefused(account, retryAfterMs)}`;
    exchange.note(RATE_LIMIT, 'refused', detail);
    const fields = this.policies + refusalFields(limit.name, retryAfterMs, exchange.grpc);
    return { status: 429, code: 'rate-limited', detail, fields };
  }
}

function whyRefused(account: Account, retryAfterMs: number): string {
  if (account.outage !== '') return `lets nobody more in now: ${withoutStore(account)}`;
  const { algorithm, tokens } = account.quota.limit;
  if (algorithm === 'concurrency') return `is used up: ${tokens} are under way for this caller`;
  return `is used up for this caller: the next may come in ${Math.ceil(retryAfterMs)} ms`;
}

function withoutStore({ outage, quota }: Account): string {
  return `${outage}, and on-outage is ${quota.limit.onOutage}`;
}

/** Of a dry run: nobody waits for it and nobody is refused. */
function countOnly(limit: Limit, exchange: Exchange, nowMs: number): void {
  const { quota, subjectOf, counts } = limit;
  const accounts = [quota.account(subjectOf(exchange), nowMs)];
  const verdict = decide(accounts, nowMs);
  if (verdict === ADMITTED) {
    quota.numbers.admitted++;
    if (counts) for (const account of accounts) exchange.hold(account);
  } else if (verdict !== WAITS) {
    wouldRefuse(limit, exchange);
  } else countLater(limit, exchange, accounts, nowMs);
}

function wouldRefuse({ quota, words }: Limit, exchange: Exchange): void {
  quota.numbers.dryRun++;
  exchange.note(RATE_LIMIT, 'would refuse', `${words} is used up (dry-run)`);
}

function countLater(limit: Limit, exchange: Exchange, accounts: Account[], sinceMs: number): void {
  const { quota, counts } = limit;
  let over = false;
  let taken = false;
  const waiter = new Waiter(accounts, sinceMs, (refusedBy, nowMs) => {
    if (refusedBy === undefined) {
      quota.numbers.admitted++;
      // A place is let go with its request, which may be over already.
      if (over && counts) for (const account of accounts) account.release(nowMs);
      else taken = counts;
    } else if (over) quota.numbers.dryRun++;
    else wouldRefuse(limit, exchange);
  });
  exchange.hold({
    release(nowMs) {
      over = true;
      if (taken) for (const account of accounts) account.release(nowMs);
    },
  });
  waiter.wake(sinceMs);
}

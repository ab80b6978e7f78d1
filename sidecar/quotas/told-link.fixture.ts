import type { TestContext } from 'node:test';
import { limitsOf } from '../../protocol/quotas/limits.fixture.ts';
import type { DrawRequest, QuotaGrant, QuotaItem, QuotaReply } from '../../protocol/quotas/messages.ts';
import type { Account, Quota } from './account.ts';
import { ADMITTED, decide, WAITS } from './decide.ts';
import { DrawnQuotas } from './drawn-quotas.ts';
import type { QuotaLink } from './quota-link.ts';
import { Waiter } from './waiter.ts';

type Answer = Partial<QuotaGrant> | undefined;

/** Quotas whose store says what a test has it say, in a time that goes as the test says. */
export interface ToldQuotas {
  readonly source: DrawnQuotas;
  /** All messages, in order. */
  readonly sent: DrawRequest[];
  /** The items of those since this was last asked. */
  items(): QuotaItem[];
  quotas(limits: string, service?: string): readonly Quota[];
  /** A request that is counted as `subject` by each quota: 'admitted', 'refused' or 'waits', and what it becomes. */
  ask(quotas: readonly Quota[], subject?: string): Asked;
  /** Lets what was queued go, `ms` pass, and timers fire. */
  pass(ms?: number): void;
  /** Answers the oldest message that is not answered; each item by `answer`. */
  grant(answer?: (item: QuotaItem) => Answer): void;
  reply(reply: QuotaReply): void;
  /** The id of the oldest message that is not answered. */
  readonly unanswered: number[];
  setOpen(open: boolean): void;
  now(): number;
}

interface Asked {
  result: string;
  readonly accounts: readonly Account[];
  refusedBy: Account | undefined;
  cancel(): void;
}

export function toldQuotas(context: TestContext): ToldQuotas {
  let clock = 1_000;
  context.mock.method(performance, 'now', () => clock);
  context.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate'] });
  const link = new ToldLink();
  const source = new DrawnQuotas(() => link);
  context.after(() => source.close());
  let read = 0;
  return {
    source,
    sent: link.sent,
    unanswered: link.unanswered,
    items() {
      const items = link.sent.slice(read).flatMap((request) => request.items);
      read = link.sent.length;
      return items;
    },
    quotas: (limits, service = 'shop/orders') => source.quotasOf(service, limitsOf(limits)),
    ask(quotas, subject = 'web') {
      const accounts = quotas.map((quota) => quota.account(subject, clock));
      return ask(accounts, clock);
    },
    pass(ms = 0) {
      // In steps, as a clock does.
      context.mock.timers.tick(0);
      for (let left = ms; left > 0; left -= 5) {
        clock += Math.min(5, left);
        context.mock.timers.tick(Math.min(5, left));
      }
    },
    grant(answer = ({ want }) => ({ granted: want })) {
      const id = link.unanswered.shift();
      const request = link.sent.find((one) => one.id === id);
      if (id === undefined || request === undefined) throw new Error('nothing was asked');
      const grants = request.items.map((item) => grantFor(item, answer(item)));
      link.tell({ type: 'grants', id, grants });
    },
    reply: (reply) => link.tell(reply),
    setOpen: (open) => link.setOpen(open),
    now: () => clock,
  };
}

function grantFor({ quota, subject }: QuotaItem, answer: Answer): QuotaGrant {
  const usual = { granted: 0, lifeMs: 100, retryAfterMs: 0, remaining: 7, resetMs: 1000, sharers: 2 };
  return { quota, subject, ...usual, ...answer };
}

function ask(accounts: readonly Account[], nowMs: number): Asked {
  const asked: Asked = { result: '', accounts, refusedBy: undefined, cancel() {} };
  const settle = (refusedBy: Account | undefined): void => {
    asked.result = refusedBy === undefined ? 'admitted' : 'refused';
    asked.refusedBy = refusedBy;
  };
  const verdict = decide(accounts, nowMs);
  if (verdict === ADMITTED) settle(undefined);
  else if (verdict !== WAITS) settle(verdict);
  else {
    asked.result = 'waits';
    const waiter = new Waiter(accounts, nowMs, settle);
    asked.cancel = () => waiter.cancel();
    waiter.wake(nowMs);
  }
  return asked;
}

class ToldLink implements QuotaLink {
  open = true;
  readonly sent: DrawRequest[] = [];
  readonly unanswered: number[] = [];
  private replied: (reply: QuotaReply) => void = () => {};
  private changed: () => void = () => {};

  send(request: DrawRequest): void {
    this.sent.push(request);
    this.unanswered.push(request.id);
  }

  onReply(listener: (reply: QuotaReply) => void): void {
    this.replied = listener;
  }

  onChange(listener: () => void): void {
    this.changed = listener;
  }

  close(): void {}

  tell(reply: QuotaReply): void {
    this.replied(reply);
  }

  setOpen(open: boolean): void {
    this.open = open;
    if (!open) this.unanswered.length = 0;
    this.changed();
  }
}

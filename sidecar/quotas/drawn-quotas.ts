import {
  MAX_ITEMS,
  type QuotaGrant,
  type QuotaItem,
  type QuotaReply,
} from '../../protocol/quotas/messages.ts';
import { quotaIds } from '../../protocol/quotas/quota-id.ts';
import type { RateLimit } from '../../protocol/traffic-policy.ts';
import { ASKS, type Quota, type QuotaSource, type Waiting } from './account.ts';
import type { DrawnAccount } from './drawn-account.ts';
import { type Drawer, DrawnQuota, type Told, UNUSED_MS } from './drawn-quota.ts';
import type { QuotaLink } from './quota-link.ts';

/** No request waits longer for the store, in ms: 50 with what a busy process may be late. */
const MAX_WAIT_MS = 30;
const TEND_MS = 25;
/** Subjects that nobody uses are forgotten at every so many of these. */
const FORGET_EVERY = 40;
/**
 * How often a store that was away is asked whether it is back, in ms; at first at once and more often, since what was only
 * late is back soon.
 */
const PROBE_MS = 250;
const FIRST_PROBE_MS = 25;
/** A control plane takes no more than 64. */
const MAX_UNANSWERED = 48;
const NO_ANSWER = `the store of quotas did not answer within ${MAX_WAIT_MS} ms`;

const NOTHING = { want: 0, back: 0 };

interface Asked {
  readonly account: DrawnAccount;
  readonly want: number;
}

/** A message that is not answered yet. */
interface Pending {
  readonly sentMs: number;
  readonly asked: readonly Asked[];
  /** Whose request it is for alone. */
  readonly waiter?: Waiting;
}

/** Quotas whose tokens are drawn over a link to a control plane. */
export class DrawnQuotas implements QuotaSource, Drawer {
  connection = 1;
  private link: QuotaLink | undefined = undefined;
  private readonly openLink: () => QuotaLink;
  private readonly quotas = new Map<string, DrawnQuota>();
  /** By service. */
  private readonly told = new Map<string, Told>();
  private readonly queued = new Set<DrawnAccount>();
  private readonly exact = new Map<Waiting, DrawnAccount[]>();
  /**
   * Not yet asked for at this control plane. Who draws nothing has to be known all the same: its share would be set
   * aside as that of one who is away.
   */
  private readonly unknown = new Set<DrawnQuota>();
  private readonly pending = new Map<number, Pending>();
  /** In the order in which they came. */
  private readonly waiters = new Set<Waiting>();
  private readonly holding = new Set<DrawnAccount>();
  private nextId = 0;
  private flushing: NodeJS.Immediate | undefined = undefined;
  private timeout: NodeJS.Timeout | undefined = undefined;
  private tending: NodeJS.Timeout | undefined = undefined;
  private tended = 0;

  /** `openLink` is called when there is a first quota: who has none needs no link. */
  constructor(openLink: () => QuotaLink) {
    this.openLink = openLink;
  }

  quotasOf(service: string, limits: readonly RateLimit[]): readonly Quota[] {
    this.link ??= this.connect();
    const told = this.told.get(service) ?? { sharers: 0 };
    this.told.set(service, told);
    return quotaIds(service, limits).map((id, index) => {
      const limit = limits[index] as RateLimit; // one id for each limit
      let quota = this.quotas.get(id);
      if (quota === undefined) {
        quota = new DrawnQuota(id, service, limit, this, told);
        this.quotas.set(id, quota);
      } else if (differs(quota.limit, limit)) {
        quota.limit = limit;
        quota.limitChanged(performance.now());
      } else quota.limit = limit;
      return quota;
    });
  }

  all(): Iterable<Quota> {
    return this.quotas.values();
  }

  close(): void {
    clearImmediate(this.flushing);
    clearTimeout(this.timeout);
    clearInterval(this.tending);
    for (const account of this.holding) account.giveUp(performance.now());
    this.flush(performance.now());
    this.link?.close();
  }

  private connect(): QuotaLink {
    const link = this.openLink();
    link.onReply((reply) => this.onReply(reply, performance.now()));
    link.onChange(() => (link.open ? this.onOpen(performance.now()) : this.onBroken()));
    return link;
  }

  // --- what accounts ask ---

  queue(account: DrawnAccount): void {
    this.queued.add(account);
    this.soon();
  }

  queueExact(account: DrawnAccount, waiter: Waiting): void {
    const accounts = this.exact.get(waiter);
    if (accounts === undefined) this.exact.set(waiter, [account]);
    else if (!accounts.includes(account)) accounts.push(account);
    this.soon();
  }

  watch(waiter: Waiting): void {
    this.waiters.add(waiter);
    this.timeout ??= this.wakeIn(MAX_WAIT_MS);
  }

  tend(account: DrawnAccount): void {
    this.holding.add(account);
  }

  // --- to the store ---

  /** All that comes up in one turn of the event loop goes in one message. */
  private soon(): void {
    this.flushing ??= setImmediate(() => this.flush(performance.now()));
    this.keepAwake();
  }

  keepAwake(): void {
    this.tending ??= setInterval(() => this.onTend(performance.now()), TEND_MS).unref();
  }

  private flush(nowMs: number): void {
    this.flushing = undefined;
    if (this.link?.open !== true) return; // sent when it opens, if anybody still waits for it then
    const byService = Map.groupBy(this.queued, ({ quota }) => quota.service);
    this.queued.clear();
    for (const accounts of byService.values()) {
      for (let from = 0; from < accounts.length; from += MAX_ITEMS)
        this.draw(accounts.slice(from, from + MAX_ITEMS), nowMs);
    }
    for (const [waiter, accounts] of this.exact) {
      if (this.pending.size >= MAX_UNANSWERED) return; // the others when answers come
      this.exact.delete(waiter);
      this.drawExact(waiter, accounts, nowMs);
    }
    for (const quota of this.unknown) {
      if (this.pending.size >= MAX_UNANSWERED) return;
      this.unknown.delete(quota);
      this.probe(quota, nowMs);
    }
  }

  private draw(accounts: readonly DrawnAccount[], nowMs: number): void {
    const asked: Asked[] = [];
    const items: QuotaItem[] = [];
    for (const account of accounts) {
      const { quota, subject } = account;
      const probes = quota.probedMs === nowMs;
      if (quota.outage !== undefined && !probes) continue;
      const item = account.item(nowMs) ?? (probes ? NOTHING : undefined);
      if (item === undefined) continue;
      const { want, back } = item;
      if (want > 0) quota.usedMs = nowMs;
      asked.push({ account, want });
      items.push({ quota: quota.id, subject, want, back });
    }
    this.send(asked, items, nowMs);
  }

  private drawExact(waiter: Waiting, accounts: readonly DrawnAccount[], nowMs: number): void {
    if (waiter.over) return;
    const asked = accounts.map((account) => ({ account, want: 1 }));
    const items = accounts.map((account): QuotaItem => {
      account.quota.usedMs = nowMs;
      const back = account.item(nowMs)?.back ?? 0;
      return { quota: account.quota.id, subject: account.subject, want: 1, back };
    });
    this.send(asked, items, nowMs, waiter);
  }

  private send(asked: readonly Asked[], items: QuotaItem[], nowMs: number, waiter?: Waiting): void {
    if (items.length === 0) return;
    const id = this.nextId++;
    for (const { account } of asked) {
      account.quota.numbers.draws++;
      account.sent();
    }
    this.pending.set(id, { sentMs: nowMs, asked, ...(waiter && { waiter }) });
    const sharers = asked[0]?.account.quota.sharers ?? 0;
    this.link?.send({
      ...{ type: 'draw', id, exact: waiter !== undefined, items },
      ...(sharers > 0 && { sharers }),
      ...(this.isSharing(asked[0]?.account.quota.service, nowMs) && { sharing: true }),
    });
  }

  /** Of any of a service's quotas: the store sets aside the share of all. */
  private isSharing(service: string | undefined, nowMs: number): boolean {
    for (const quota of this.quotas.values())
      if (quota.service === service && quota.isSharing(nowMs)) return true;
    return false;
  }

  // --- from the store ---

  private onReply(reply: QuotaReply, nowMs: number): void {
    if (reply.type === 'changed') {
      this.quotas.get(reply.quota)?.limitChanged(nowMs);
      return;
    }
    const pending = this.pending.get(reply.id);
    if (pending === undefined) return;
    this.pending.delete(reply.id);
    for (const { account } of pending.asked) account.answered();
    if (reply.type === 'grants') this.onGrants(pending, reply.grants, nowMs);
    else {
      const detail = reply.type === 'outage' ? reply.detail : `the control plane refuses: ${reply.detail}`;
      for (const { account, want } of pending.asked)
        if (want > 0 || account.quota.outage !== undefined) this.lost(account.quota, detail, nowMs);
    }
    // What is granted for one request alone is there while they are woken, no longer.
    pending.waiter?.wake(nowMs);
    for (const { account } of pending.asked) account.wake(nowMs);
    for (const { account } of pending.asked) account.settle();
    if (this.exact.size + this.unknown.size > 0) this.soon();
  }

  private onGrants({ asked, sentMs }: Pending, grants: readonly QuotaGrant[], nowMs: number): void {
    for (const [index, { account, want }] of asked.entries()) {
      const grant = isOf(grants[index], account) ? grants[index] : grants.find((one) => isOf(one, account));
      if (grant !== undefined) account.takeGrant(grant, want, sentMs, nowMs);
    }
  }

  /** When this process was late itself, answers may have come meanwhile: they are read first. */
  private wakeIn(ms: number): NodeJS.Timeout {
    return setTimeout(() => setTimeout(() => this.onTimeout(performance.now()), 0), ms);
  }

  private onTimeout(nowMs: number): void {
    this.timeout = undefined;
    for (const waiter of this.waiters) {
      const left = waiter.over ? 0 : waiter.sinceMs + MAX_WAIT_MS - nowMs;
      if (left > 0) {
        this.timeout = this.wakeIn(Math.ceil(left));
        return;
      }
      this.waiters.delete(waiter);
      if (!waiter.over) this.expire(waiter, nowMs);
    }
  }

  /** It has waited long enough: `on-outage` decides if the store was silent, else there are too many who ask. */
  private expire(waiter: Waiting, nowMs: number): void {
    this.exact.delete(waiter);
    const accounts = waiter.accounts as readonly DrawnAccount[]; // this source made them
    for (const account of accounts) {
      if (account.lookAgain(nowMs) !== ASKS) continue;
      if (account.quota.contactMs < waiter.sinceMs) this.lost(account.quota, NO_ANSWER, nowMs);
      else account.refuseFor(TEND_MS, nowMs);
    }
    waiter.wake(nowMs);
  }

  // --- in the background ---

  private onTend(nowMs: number): void {
    for (const account of this.holding) if (!account.tend(nowMs)) this.holding.delete(account);
    let used = this.holding.size > 0 || this.waiters.size > 0;
    for (const quota of this.quotas.values()) {
      if (nowMs - quota.usedMs >= UNUSED_MS) continue;
      used = true;
      if (quota.outage !== undefined) this.probe(quota, nowMs);
    }
    if (++this.tended % FORGET_EVERY === 0)
      for (const { subjects } of this.quotas.values()) subjects.dropIdle(nowMs);
    if (used) return;
    clearInterval(this.tending);
    this.tending = undefined;
  }

  private lost(quota: DrawnQuota, detail: string, nowMs: number): void {
    if (quota.lost(detail, nowMs)) this.probe(quota, nowMs);
  }

  /** Asks for what is wanted most lately, be it nothing: any answer says that the store is back. */
  private probe(quota: DrawnQuota, nowMs: number): void {
    const account = quota.lastAsked;
    const pauseMs = Math.min(PROBE_MS, FIRST_PROBE_MS * 2 ** quota.probes);
    if (account === undefined || this.link?.open !== true || nowMs - quota.probedMs < pauseMs) return;
    quota.probedMs = nowMs;
    quota.probes++;
    this.draw([account], nowMs);
  }

  private onOpen(nowMs: number): void {
    for (const quota of this.quotas.values()) {
      quota.probedMs = Number.NEGATIVE_INFINITY;
      if (quota.outage !== undefined) this.probe(quota, nowMs);
      else if (quota.sharers > 0) this.unknown.add(quota);
    }
    this.flush(nowMs);
  }

  /** What was under way is lost, and so is what was to be given back. Who waits goes on until the time is up. */
  private onBroken(): void {
    this.connection++;
    for (const { asked } of this.pending.values()) for (const { account } of asked) account.answered();
    this.pending.clear();
    for (const waiter of this.waiters) waiter.wake(performance.now());
  }
}

function isOf(grant: QuotaGrant | undefined, { quota, subject }: DrawnAccount): grant is QuotaGrant {
  return grant?.quota === quota.id && grant.subject === subject;
}

function differs(a: RateLimit, b: RateLimit): boolean {
  return a.tokens !== b.tokens || a.perMs !== b.perMs || a.burst !== b.burst || a.mode !== b.mode;
}

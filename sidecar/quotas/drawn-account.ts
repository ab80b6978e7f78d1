import type { QuotaGrant, QuotaItem } from '../../protocol/quotas/messages.ts';
import { type Account, ASKS, HAS, type Look, REFUSED, type Waiting } from './account.ts';
import type { DrawnQuota } from './drawn-quota.ts';
import { OutageShare } from './outage-share.ts';
import type { Kept } from './subjects.ts';

/** A refused subject asks again after this at most, if the store does not say later, in ms. */
const MAX_PAUSE_MS = 64;

/** What was drawn of a quota for one subject, or can be. */
export abstract class DrawnAccount implements Account, Kept {
  readonly quota: DrawnQuota;
  readonly subject: string;
  usedMs = 0;
  /** How many messages that ask for it are not answered: nothing may be given back meanwhile. */
  private unanswered = 0;
  /** Something is to be drawn with the next message, even if nobody waits. */
  protected wanted = false;
  /** How many requests the next draw is for. */
  protected asked = 0;
  private waiting: Waiting[] = [];
  private refusedUntilMs = 0;
  private refusals = 0;
  private toldRemaining = 0;
  /** When it will be whole. */
  private wholeMs = 0;
  private share: { readonly sinceMs: number; readonly of: OutageShare } | undefined = undefined;

  constructor(quota: DrawnQuota, subject: string) {
    this.quota = quota;
    this.subject = subject;
  }

  abstract readonly held: number;
  abstract look(nowMs: number): Look;
  abstract lookAgain(nowMs: number): Look;
  abstract take(nowMs: number): void;
  abstract release(nowMs: number): void;
  abstract mayBeForgotten(nowMs: number): boolean;
  /** Gives up all that was drawn. */
  abstract giveUp(nowMs: number): void;
  /** Lets go what has ended. False: nothing is held any more. */
  abstract tend(nowMs: number): boolean;
  /** What goes into the next message; undefined: there is nothing to say. */
  abstract item(nowMs: number): Pick<QuotaItem, 'want' | 'back'> | undefined;
  protected abstract granted(grant: QuotaGrant, sentMs: number, nowMs: number): void;
  /** What was granted for the requests that waited, and was not taken by them, is left. */
  abstract settle(): void;

  get exact(): boolean {
    return this.quota.exact;
  }

  ask(waiter: Waiting, wakes: boolean): void {
    const { drawer } = this.quota;
    this.quota.lastAsked = this;
    if (wakes) drawer.watch(waiter);
    if (this.exact) {
      drawer.queueExact(this, waiter);
      return;
    }
    if (wakes) this.waiting.push(waiter);
    this.asked++;
    if (!this.drawing) drawer.queue(this);
  }

  /** The store's answer. `want`: what was asked for. */
  takeGrant(grant: QuotaGrant, want: number, sentMs: number, nowMs: number): void {
    this.quota.heard(grant, sentMs);
    this.share = undefined;
    this.toldRemaining = grant.remaining;
    this.wholeMs = nowMs + grant.resetMs;
    if (want > 0) this.noteGrant(grant, want, nowMs);
    this.granted(grant, sentMs, nowMs);
  }

  private noteGrant({ granted, retryAfterMs }: QuotaGrant, want: number, nowMs: number): void {
    if (granted === 0) {
      // Of several that are granted all or not at all, it was another that had none.
      if (retryAfterMs > 0 || !this.exact) this.refuse(retryAfterMs, nowMs);
      return;
    }
    this.refusals = 0;
    this.refusedUntilMs = granted < want ? nowMs + retryAfterMs : 0;
  }

  /** Who asks and asks in vain pauses longer and longer, but not so long that much of the quota is left over. */
  private refuse(retryAfterMs: number, nowMs: number): void {
    const { tokens, perMs, burst } = this.quota.limit;
    this.refusals = Math.min(this.refusals + 1, 10);
    const pause = Math.min(2 ** this.refusals, MAX_PAUSE_MS, (burst * perMs) / tokens / 4);
    this.refusedUntilMs = nowMs + Math.max(retryAfterMs, pause, 1);
  }

  /** The store has less than is wanted here: it is not worth asking it for so long, in ms. */
  protected pauseMs(nowMs: number): number {
    return this.refusedUntilMs - nowMs;
  }

  /** The quota has other numbers: what was drawn of the old is given up, and who was refused by them may ask. */
  limitChanged(nowMs: number): void {
    this.refusedUntilMs = 0;
    this.refusals = 0;
    this.giveUp(nowMs);
  }

  /** Nobody can tell any more whether there would be one. */
  refuseFor(ms: number, nowMs: number): void {
    this.refusedUntilMs = nowMs + ms;
  }

  /** A message that asks for it was sent. */
  sent(): void {
    this.unanswered++;
  }

  /** It was answered, or is lost. Who still waits for more asks again, also if it is another account that wakes it. */
  answered(): void {
    this.unanswered--;
    this.asked = 0;
  }

  /** A draw is under way. */
  get drawing(): boolean {
    return this.unanswered > 0;
  }

  /** Wakes those who wait; they ask again if it was not enough for them. */
  wake(nowMs: number): void {
    const { waiting } = this;
    if (waiting.length === 0) return;
    this.waiting = [];
    for (const waiter of waiting) waiter.wake(nowMs);
  }

  /** When nothing is at hand. */
  protected lookFurther(nowMs: number): Look {
    if (this.quota.outage !== undefined) return this.lookWithoutStore(nowMs);
    return this.pauseMs(nowMs) > 0 ? REFUSED : ASKS;
  }

  protected lookWithoutStore(nowMs: number): Look {
    const { limit } = this.quota;
    this.quota.keepsAsking(this, nowMs);
    if (limit.onOutage === 'allow') return HAS;
    return limit.onOutage === 'share' && this.shareNow(nowMs)?.has(nowMs) === true ? HAS : REFUSED;
  }

  protected takeWithoutStore(nowMs: number): void {
    if (this.quota.limit.onOutage === 'share') this.shareNow(nowMs)?.take();
  }

  private shareNow(nowMs: number): OutageShare | undefined {
    const { quota } = this;
    const { outage, sharers, limit } = quota;
    if (outage === undefined || sharers === 0) return undefined;
    const fromMs = quota.shareFromMs(outage);
    if (nowMs < fromMs) return undefined;
    if (this.share?.sinceMs !== outage.sinceMs) {
      const heard = {
        sharers,
        // Of a subject that was never asked for, nothing may be taken from what others may have left.
        remaining: this.wholeMs === 0 ? 0 : this.toldRemaining,
        resetMs: this.wholeMs === 0 ? limit.perMs : Math.max(0, this.wholeMs - fromMs),
      };
      this.share = { sinceMs: outage.sinceMs, of: new OutageShare(limit, heard, fromMs) };
    }
    return this.share.of;
  }

  retryAfterMs(nowMs: number): number {
    const { outage, limit } = this.quota;
    if (outage === undefined) return Math.max(0, this.refusedUntilMs - nowMs);
    const share = limit.onOutage === 'share' ? this.shareNow(nowMs) : undefined;
    return share?.nextMs(nowMs) ?? Math.max(0, this.quota.shareFromMs(outage) - nowMs);
  }

  remaining(_nowMs: number): number {
    return this.toldRemaining + this.held;
  }

  resetMs(nowMs: number): number {
    return Math.max(0, this.wholeMs - nowMs);
  }

  get outage(): string {
    return this.quota.outage?.detail ?? '';
  }

  forget(nowMs: number): void {
    this.giveUp(nowMs);
  }

  protected get idle(): boolean {
    return !this.drawing && this.waiting.length === 0;
  }
}

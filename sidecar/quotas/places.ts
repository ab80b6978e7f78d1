import type { QuotaGrant, QuotaItem } from '../../protocol/quotas/messages.ts';
import { HAS, type Look, REFUSED } from './account.ts';
import { DrawnAccount } from './drawn-account.ts';

/** Places that nobody needed for so long are given up, in ms. */
const IDLE_MS = 200;

/** Places of one subject for requests that are under way at once: held as long as the store hears of them. */
export class Places extends DrawnAccount {
  /** How many requests are under way. */
  private inUse = 0;
  /** The most there were since places were last asked for. */
  private peak = 0;
  private places = 0;
  private endMs = 0;
  private renewMs = 0;

  get held(): number {
    return this.places;
  }

  look(nowMs: number): Look {
    this.usedMs = nowMs;
    return this.lookAgain(nowMs);
  }

  lookAgain(nowMs: number): Look {
    if (this.inUse < this.places && nowMs < this.endMs) return HAS;
    return this.lookFurther(nowMs);
  }

  protected override lookWithoutStore(nowMs: number): Look {
    const { quota } = this;
    const { limit, sharers, outage } = quota;
    quota.keepsAsking(this, nowMs);
    if (limit.onOutage === 'allow') return HAS;
    if (limit.onOutage === 'deny' || sharers === 0 || outage === undefined) return REFUSED;
    if (nowMs < quota.shareFromMs(outage)) return REFUSED;
    return this.inUse < Math.floor(limit.tokens / sharers) ? HAS : REFUSED;
  }

  take(nowMs: number): void {
    this.inUse++;
    if (this.inUse > this.peak) this.peak = this.inUse;
    if (this.inUse < this.places || this.inUse < 2 || this.drawing || this.quota.outage !== undefined) return;
    // The next one should not have to wait.
    this.wanted = true;
    this.quota.drawer.queue(this);
    this.quota.usedMs = nowMs;
  }

  release(): void {
    if (this.inUse > 0) this.inUse--;
  }

  item(nowMs: number): Pick<QuotaItem, 'want' | 'back'> {
    // Who has one request at a time must not hold a place that others need.
    const ahead = this.peak < 2 || this.isIdle(nowMs) ? 0 : Math.ceil(this.peak / 8);
    const want = Math.min(this.quota.limit.tokens, this.inUse + this.asked + ahead);
    this.wanted = false;
    this.peak = this.inUse;
    // What is not asked for any more is not used from now on.
    this.places = Math.min(this.places, Math.max(want, this.inUse));
    return { want, back: 0 };
  }

  protected granted({ granted, lifeMs }: QuotaGrant, sentMs: number): void {
    this.places = granted;
    this.endMs = sentMs + lifeMs;
    this.renewMs = sentMs + lifeMs / 3;
    if (granted > 0) this.quota.drawer.tend(this);
  }

  settle(): void {}

  tend(nowMs: number): boolean {
    if (nowMs >= this.endMs) this.places = 0;
    const renews = nowMs >= this.renewMs || (this.places > 0 && this.isIdle(nowMs));
    if (renews && !this.drawing) {
      this.wanted = true;
      this.quota.drawer.queue(this);
    }
    return this.places > 0 || this.inUse > 0;
  }

  private isIdle(nowMs: number): boolean {
    return this.inUse === 0 && this.asked === 0 && nowMs - this.usedMs >= IDLE_MS;
  }

  giveUp(): void {
    this.places = 0;
    this.wanted = true;
    this.quota.drawer.queue(this);
  }

  override forget(): void {}

  /** As long as requests are under way, somebody must know of them. */
  mayBeForgotten(): boolean {
    return this.idle && this.inUse === 0 && this.places === 0;
  }
}

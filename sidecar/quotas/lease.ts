import type { QuotaGrant, QuotaItem } from '../../protocol/quotas/messages.ts';
import { EXACT_LAG_MS } from '../../protocol/quotas/quota-terms.ts';
import { HAS, type Look, REFUSED } from './account.ts';
import { DrawnAccount } from './drawn-account.ts';

/** Tokens are drawn for so long ahead, in ms, or for this part of their life: the last of it is to spare. */
const AHEAD_MS = 100;
const AHEAD_PART = 0.8;
const MOST_TOKENS = 1_000_000;
/** Fewer expected than this are not drawn before somebody comes. */
const WORTH_DRAWING = 2;

/** So long before a pause is over it is asked again, if many come, in ms: when it is over there is an answer. */
const BEFORE_PAUSE_ENDS_MS = 10;

/** Nobody came for so long, and so many should have: no more will, in ms. */
const GONE_MS = 25;
const GONE_REQUESTS = 5;

/** In the last part of their life it is looked at whether tokens will be needed. */
const IDLE_PART = 0.6;

/**
 * Tokens that were drawn for one subject before they are needed: a request that finds one is decided here and now.
 * There are at most two draws at hand, the one in use and the one after it.
 */
export class Lease extends DrawnAccount {
  private tokens = 0;
  private endMs = 0;
  private connection = 0;
  private nextTokens = 0;
  private nextEndMs = 0;
  private nextConnection = 0;
  /** When the next are drawn. */
  private lowWater = 0;
  /** Granted for requests that wait at this moment. */
  private instant = 0;
  /** Not used, and not to be used any more. */
  private back = 0;
  private backConnection = 0;
  private lifeMs = AHEAD_MS;
  /** Requests since `countedMs`, and how many there were in a ms before. */
  private demand = 0;
  private countedMs = 0;
  private rate = 0;

  get held(): number {
    return this.tokens + this.nextTokens;
  }

  look(nowMs: number): Look {
    this.usedMs = nowMs;
    this.demand++;
    if (this.tokens > 0 && nowMs < this.endMs) return HAS;
    return this.lookAgain(nowMs);
  }

  lookAgain(nowMs: number): Look {
    if (this.instant > 0) return HAS;
    if (this.tokens === 0 || nowMs >= this.endMs) this.promote(nowMs);
    return this.tokens > 0 ? HAS : this.lookFurther(nowMs);
  }

  take(nowMs: number): void {
    if (this.instant > 0) this.instant--;
    else if (this.tokens > 0) {
      this.tokens--;
      if (this.tokens <= this.lowWater) this.runLow(nowMs);
    } else this.takeWithoutStore(nowMs);
  }

  /** Tokens are used up, whatever becomes of the request. */
  release(): void {}

  /** Of those who are refused because the quota is used up, some will come when there is more. */
  protected override lookFurther(nowMs: number): Look {
    const look = super.lookFurther(nowMs);
    if (look === REFUSED) this.runLow(nowMs);
    return look;
  }

  private runLow(nowMs: number): void {
    if (this.pauseMs(nowMs) > BEFORE_PAUSE_ENDS_MS) return;
    if (this.drawing || this.wanted || this.nextTokens > 0 || this.quota.outage !== undefined) return;
    if (this.expected(nowMs) < WORTH_DRAWING) return;
    this.wanted = true;
    this.quota.drawer.queue(this);
  }

  /** How many requests will come while tokens that are drawn now live, by those that came lately. */
  private expected(nowMs: number): number {
    if (this.countedMs === 0) this.countedMs = nowMs;
    const spanMs = nowMs - this.countedMs;
    if (spanMs >= AHEAD_MS) {
      const now = this.demand / spanMs;
      this.rate = spanMs > 10 * AHEAD_MS ? now : (this.rate + now) / 2;
      this.demand = 0;
      this.countedMs = nowMs;
    }
    return Math.max(this.rate, this.demand / Math.max(spanMs, AHEAD_MS)) * this.aheadMs;
  }

  private get aheadMs(): number {
    return Math.min(AHEAD_MS, this.lifeMs * AHEAD_PART);
  }

  item(nowMs: number): Pick<QuotaItem, 'want' | 'back'> | undefined {
    const expected = this.expected(nowMs);
    const draws = !this.drawing && (this.wanted || this.asked > 0);
    const ahead = expected < WORTH_DRAWING ? 0 : Math.ceil(expected) - this.tokens;
    const want = draws ? Math.max(1, this.asked, Math.min(MOST_TOKENS, ahead)) : 0;
    const back = this.takeBack();
    if (draws) this.wanted = false;
    if (want + back === 0) return undefined;
    return { want: Math.min(want, MOST_TOKENS), back: Math.min(back, MOST_TOKENS) };
  }

  private takeBack(): number {
    if (this.drawing) return 0;
    const back = this.backConnection === this.quota.drawer.connection ? this.back : 0;
    this.back = 0;
    return back;
  }

  protected granted({ granted, lifeMs }: QuotaGrant, sentMs: number, nowMs: number): void {
    const { quota } = this;
    if (granted === 0) return;
    const { connection } = quota.drawer;
    if (lifeMs === 0 || quota.exact) {
      quota.servedExact = true;
      // Of a process that stood still: the store has reckoned with use up to then.
      if (nowMs - sentMs > EXACT_LAG_MS) this.giveBack(granted, connection);
      else this.instant += granted;
      return;
    }
    this.lifeMs = lifeMs;
    const endMs = sentMs + lifeMs;
    if (endMs <= nowMs) {
      this.giveBack(granted, connection);
      return;
    }
    this.promote(nowMs);
    if (this.tokens === 0) {
      this.tokens = granted;
      this.endMs = endMs;
      this.connection = connection;
    } else {
      this.giveBack(this.nextTokens, this.nextConnection);
      this.nextTokens = granted;
      this.nextEndMs = endMs;
      this.nextConnection = connection;
    }
    this.expect(nowMs);
    quota.drawer.tend(this);
  }

  settle(): void {
    this.giveBack(this.instant, this.quota.drawer.connection);
    this.instant = 0;
    // It had to wait for the answer.
    if (this.back > 0) this.quota.drawer.queue(this);
  }

  /** What is over makes way for what was drawn after it. */
  private promote(nowMs: number): void {
    if (this.tokens > 0 && nowMs < this.endMs) return;
    this.giveBack(this.tokens, this.connection);
    this.tokens = 0;
    if (this.nextTokens === 0) return;
    if (nowMs < this.nextEndMs) {
      this.tokens = this.nextTokens;
      this.endMs = this.nextEndMs;
      this.connection = this.nextConnection;
      this.expect(nowMs);
    } else this.giveBack(this.nextTokens, this.nextConnection);
    this.nextTokens = 0;
  }

  /** Half of what will be needed should be at hand when more is drawn: a store may take a while to answer. */
  private expect(nowMs: number): void {
    this.lowWater = Math.max(this.tokens >> 2, this.expected(nowMs) >> 1);
  }

  private giveBack(tokens: number, connection: number): void {
    const { drawer } = this.quota;
    if (tokens === 0 || connection !== drawer.connection) return;
    if (this.backConnection !== connection) this.back = 0;
    this.backConnection = connection;
    this.back += tokens;
    drawer.queue(this);
  }

  /** What will not be needed is given back while it lives: later it is lost to all. */
  tend(nowMs: number): boolean {
    this.promote(nowMs);
    if (this.isGone(nowMs)) {
      this.rate = 0;
      this.demand = 0;
      this.countedMs = nowMs;
      this.giveUp();
      return false;
    }
    const leftMs = this.endMs - nowMs;
    if (this.tokens > 0 && leftMs < this.lifeMs * IDLE_PART) {
      const needed = Math.ceil((this.expected(nowMs) * leftMs) / this.aheadMs);
      const idle = this.tokens - needed;
      if (idle > 0) {
        this.tokens = needed;
        this.giveBack(idle, this.connection);
      }
    }
    return this.held > 0;
  }

  /** A caller that stopped at once: else it would hold what it last needed until that ends. */
  private isGone(nowMs: number): boolean {
    const quietMs = nowMs - this.usedMs;
    return quietMs >= GONE_MS && this.rate * quietMs >= GONE_REQUESTS;
  }

  giveUp(): void {
    this.giveBack(this.tokens, this.connection);
    this.giveBack(this.nextTokens, this.nextConnection);
    this.tokens = 0;
    this.nextTokens = 0;
  }

  mayBeForgotten(): boolean {
    return this.idle;
  }
}

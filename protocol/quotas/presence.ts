/**
 * Who is in contact with the store, and what part of a service's quotas it decides on. A sidecar without contact may go
 * on with its share by itself (`onOutage: share`), so that its share is not given to others as well.
 */

/** A sidecar is absent without contact for so long, in ms. */
export const ABSENT_MS = 600;
/** Control planes tell the store so often who answers them, in ms. */
export const CONTACT_MS = 200;
/** Who is absent is looked up so often, in ms. */
export const EVALUATE_MS = 200;
/**
 * A sidecar that gets no answer begins its share so long after it first asked in vain, in ms: by then the store
 * has set it aside. An answer to a ping that the store still notes is at most 300 ms old, then `ABSENT_MS`,
 * `EVALUATE_MS` and the life of the last leases pass (100 ms), and 300 ms are to spare.
 */
export const SHARE_AFTER_MS = 1_500;
/** A sidecar that is away for longer gives its share up for others, in ms. */
export const FORGET_MS = 120_000;
/**
 * A store that begins without memory gives nothing for so long, in ms: sidecars that are still on their
 * shares ask again meanwhile, and stop.
 */
export const GRACE_MS = 1_000;
/** So far back shares are remembered for windows, in ms. */
export const LOOK_BACK_MS = 60_000;
/** No more times of which a part is remembered. */
export const MAX_SPANS = 16;

/** Until `untilMs` the store decided on this `part` of the quotas, 0 to 1. */
export interface Span {
  readonly untilMs: number;
  readonly part: number;
}

interface Member {
  lastMs: number;
  /** It was told that so many draw. The sum of 1 / told over all members is at most 1. */
  told: number;
}

/** The sidecars that draw on the quotas of one service. */
export class Presence {
  /** What the store decides on now. */
  part = 1;
  /** What it decided on before, the oldest first. */
  spans: Span[];
  private readonly members = new Map<string, Member>();
  private shares = 0;
  /** The sum of the shares that sidecars said they had when they were not known here. */
  private claimed = 0;
  private readonly bornMs: number;
  private evaluatedMs = Number.NEGATIVE_INFINITY;

  /** `bornMs`: before it the store knows nothing, and all may have been used. */
  constructor(bornMs: number) {
    this.spans = [{ untilMs: bornMs, part: 0 }];
    this.bornMs = bornMs;
  }

  /** Has to be asked before anything is granted. */
  evaluate(nowMs: number): void {
    if (nowMs - this.evaluatedMs < EVALUATE_MS) return;
    this.evaluatedMs = nowMs;
    let [away, all] = [0, 0];
    for (const [name, { lastMs, told }] of this.members) {
      if (nowMs - lastMs > FORGET_MS) this.members.delete(name);
      else {
        all += 1 / told;
        if (nowMs - lastMs > ABSENT_MS) away += 1 / told;
      }
    }
    this.shares = all;
    away += this.unseen(nowMs);
    const part = away < 1e-9 ? 1 : Math.max(0, 1 - away);
    // Those who are away now were so before this moment too; those who come back were away until now.
    const past = Math.min(part, this.part);
    if (past < 1) this.remember({ untilMs: nowMs, part: past });
    this.part = part;
  }

  /**
   * Notes that a sidecar is there. Returns how many draw, as it is told: its share at an outage is 1 / that. `told`: what it
   * was told last, here or before the store began; 0: nothing. `sharing`: it is on its share until it gets the answer, so
   * it is as one that is away.
   */
  contact(name: string, nowMs: number, told = 0, sharing = false): number {
    const before = this.members.get(name);
    if (before === undefined && told > 0 && this.isYoung(nowMs)) this.claimed += 1 / told;
    const goneMs = nowMs - ABSENT_MS - 1;
    return this.tell(name, before, nowMs, sharing ? Math.min(before?.lastMs ?? goneMs, goneMs) : nowMs);
  }

  private tell(name: string, before: Member | undefined, nowMs: number, lastMs: number): number {
    const others = this.shares - (before === undefined ? 0 : 1 / before.told);
    const count = this.members.size + (before === undefined ? 1 : 0);
    const free = 1 - others - this.unseen(nowMs);
    const told = free + 1e-9 >= 1 / count ? count : free < 1e-6 ? 1_000_000 : Math.ceil(1 / free - 1e-6);
    this.shares = others + 1 / told;
    this.members.set(name, { lastMs, told });
    return told;
  }

  /** Keeps the contact of who drew before, here or elsewhere (`told`). */
  touch(name: string, nowMs: number, told = 0): void {
    const member = this.members.get(name);
    if (member !== undefined) member.lastMs = nowMs;
    else if (told > 0 && this.isYoung(nowMs)) this.contact(name, nowMs, told);
  }

  /** Sidecars that drew before the store began may be on their shares, and unknown to it. */
  private isYoung(nowMs: number): boolean {
    return nowMs < this.bornMs + FORGET_MS;
  }

  /** The share of those that were told one, as others say, and were not seen since. */
  private unseen(nowMs: number): number {
    if (this.claimed === 0 || !this.isYoung(nowMs)) return 0;
    return this.claimed > 1 - 1e-6 ? 0 : 1 - this.claimed;
  }

  /** It draws no more, and has no share. */
  leave(name: string): void {
    const member = this.members.get(name);
    if (member === undefined) return;
    this.shares -= 1 / member.told;
    this.members.delete(name);
  }

  /** Nobody to remember. */
  get empty(): boolean {
    return this.members.size === 0;
  }

  private remember(span: Span): void {
    const last = this.spans.at(-1);
    if (last?.part === span.part && last.untilMs > span.untilMs - 2 * EVALUATE_MS) this.spans.pop();
    this.spans.push(span);
    if (this.spans.length <= MAX_SPANS) return;
    const [first, second, ...rest] = this.spans;
    if (first === undefined || second === undefined) return;
    const old = first.untilMs < span.untilMs - LOOK_BACK_MS;
    this.spans = [
      old ? second : { untilMs: second.untilMs, part: Math.min(first.part, second.part) },
      ...rest,
    ];
  }
}

/** The smallest part that the store decided on in the last `windowMs`, and how long that will be so at least, in ms. */
export function leastPart(
  { part, spans }: Pick<Presence, 'part' | 'spans'>,
  nowMs: number,
  windowMs: number,
): { part: number; forMs: number } {
  const backMs = Math.min(windowMs, LOOK_BACK_MS);
  let least: Span = { untilMs: nowMs, part };
  for (const span of spans) {
    if (span.untilMs <= nowMs - backMs || span.part > least.part) continue;
    if (span.part < least.part || span.untilMs > least.untilMs) least = span;
  }
  const forMs = least.part < 1 ? least.untilMs + backMs - nowMs : Number.POSITIVE_INFINITY;
  return { part: least.part, forMs };
}

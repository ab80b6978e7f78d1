/** What is kept for a subject, as long as there is room. */
export interface Kept {
  readonly usedMs: number;
  /** Whether it can be forgotten without that anybody gets more than the quota. */
  mayBeForgotten(nowMs: number): boolean;
  /** It is forgotten. */
  forget(nowMs: number): void;
}

/** Of one quota. Names of subjects are often the callers' to choose. */
const MAX_SUBJECTS = 10_000;
/** Who came in this time has a place that others must not take. */
const BUSY_MS = 10_000;
const IDLE_MS = 60_000;
/** How many are looked at for one to make room. */
const LOOKED_AT = 8;
/** Those for whom there is no room, all together. */
export const OTHERS = '(others)';

/**
 * The subjects of one quota. Who sends more new names than there is room for finds them counted as one: names are no
 * way to more than the quota, nor to more memory.
 */
export class Subjects<T extends Kept> {
  private readonly known = new Map<string, T>();
  private readonly make: (subject: string) => T;
  private readonly most: number;
  private others: T | undefined = undefined;

  constructor(make: (subject: string) => T, most = MAX_SUBJECTS) {
    this.make = make;
    this.most = most;
  }

  /** What is kept for `subject`, made at its first use. */
  get(subject: string, nowMs: number): T {
    const known = this.known.get(subject);
    if (known !== undefined) return known;
    if (this.known.size >= this.most && !this.makeRoom(nowMs)) {
      this.others ??= this.make(OTHERS);
      return this.others;
    }
    // It may be a slice of a head, which it would keep in memory.
    const own = ` ${subject}`.slice(1);
    const made = this.make(own);
    this.known.set(own, made);
    return made;
  }

  /** Whether it is what is counted as one for want of room. */
  isOthers(one: T): boolean {
    return one === this.others;
  }

  get size(): number {
    return this.known.size;
  }

  *all(): Iterable<T> {
    yield* this.known.values();
    if (this.others !== undefined) yield this.others;
  }

  /** Forgets some of those that were not used for long; called now and then. */
  dropIdle(nowMs: number): void {
    let looked = 0;
    for (const [subject, one] of this.known) {
      if (++looked > 64) return;
      if (nowMs - one.usedMs >= IDLE_MS && one.mayBeForgotten(nowMs)) this.drop(subject, one, nowMs);
      else this.moveBack(subject, one);
    }
  }

  /** In the order in which they were last looked at here; those in use go to the end. */
  private makeRoom(nowMs: number): boolean {
    let looked = 0;
    for (const [subject, one] of this.known) {
      if (++looked > LOOKED_AT) return false;
      if (nowMs - one.usedMs >= BUSY_MS && one.mayBeForgotten(nowMs)) {
        this.drop(subject, one, nowMs);
        return true;
      }
      this.moveBack(subject, one);
    }
    return false;
  }

  private moveBack(subject: string, one: T): void {
    this.known.delete(subject);
    this.known.set(subject, one);
  }

  private drop(subject: string, one: T, nowMs: number): void {
    this.known.delete(subject);
    one.forget(nowMs);
  }
}

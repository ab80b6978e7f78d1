/** Something with one deadline at a time. The wheel's fields are its own to change. */
export interface Timed {
  /** Called once when the deadline has passed. */
  onDeadline(): void;
  wheelSlot: number;
  wheelDeadline: number;
  wheelNext: Timed | undefined;
  wheelPrevious: Timed | undefined;
}

const TICK_MS = 25;
const SLOTS = 512;
const NOT_ARMED = -1;

/**
 * A coarse hashed timing wheel (Varghese and Lauck, 1987): arming and disarming are a few writes, with
 * no timer and no allocation for each request. Deadlines are met up to one tick (25 ms) late. Between
 * occupied slots the process sleeps.
 */
export class TimerWheel {
  private readonly slots: (Timed | undefined)[] = new Array<Timed | undefined>(SLOTS).fill(undefined);
  private armed = 0;
  private timer: NodeJS.Timeout | undefined = undefined;
  /** Tick for which the timer is set, or Infinity. */
  private wakeTick = Number.POSITIVE_INFINITY;
  /** The last tick that was looked at. */
  private tick = 0;
  private readonly now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  /** Calls `timed.onDeadline` in `ms`; an earlier deadline of its is forgotten. */
  arm(timed: Timed, ms: number): void {
    this.disarm(timed);
    const now = this.now();
    if (this.armed++ === 0) this.tick = Math.floor(now / TICK_MS) - 1;
    timed.wheelDeadline = now + ms;
    const tick = Math.max(this.tick + 1, Math.ceil(timed.wheelDeadline / TICK_MS));
    const slot = tick % SLOTS;
    const first = this.slots[slot];
    timed.wheelSlot = slot;
    timed.wheelNext = first;
    timed.wheelPrevious = undefined;
    if (first !== undefined) first.wheelPrevious = timed;
    this.slots[slot] = timed;
    const wakeTick = Math.min(tick, this.tick + SLOTS);
    if (wakeTick < this.wakeTick) this.wakeAt(wakeTick, now);
  }

  disarm(timed: Timed): void {
    if (timed.wheelSlot === NOT_ARMED) return;
    if (timed.wheelPrevious === undefined) this.slots[timed.wheelSlot] = timed.wheelNext;
    else timed.wheelPrevious.wheelNext = timed.wheelNext;
    if (timed.wheelNext !== undefined) timed.wheelNext.wheelPrevious = timed.wheelPrevious;
    timed.wheelSlot = NOT_ARMED;
    timed.wheelNext = undefined;
    timed.wheelPrevious = undefined;
    this.armed--;
  }

  /** Fires all that is due. Called by its own timer; a test may call it with its own clock. */
  turn(): void {
    const now = this.now();
    const last = Math.floor(now / TICK_MS);
    const first = Math.max(this.tick + 1, last - SLOTS + 1);
    this.tick = Math.max(this.tick, last);
    for (let tick = first; tick <= last; tick++) this.fire(tick % SLOTS, now);
    this.sleep(now);
  }

  private fire(slot: number, now: number): void {
    let timed = this.slots[slot];
    while (timed !== undefined) {
      if (timed.wheelDeadline <= now) {
        this.disarm(timed);
        timed.onDeadline();
        // The callback may have changed the list in any way: begin again.
        timed = this.slots[slot];
      } else {
        timed = timed.wheelNext;
      }
    }
  }

  /** Sets the timer for the next occupied slot. */
  private sleep(now: number): void {
    this.wakeTick = Number.POSITIVE_INFINITY;
    if (this.armed === 0) return;
    for (let tick = this.tick + 1; tick <= this.tick + SLOTS; tick++) {
      if (this.slots[tick % SLOTS] === undefined) continue;
      this.wakeAt(tick, now);
      return;
    }
  }

  private wakeAt(tick: number, now: number): void {
    clearTimeout(this.timer);
    this.wakeTick = tick;
    this.timer = setTimeout(() => this.turn(), Math.max(1, tick * TICK_MS - now));
    this.timer.unref();
  }
}

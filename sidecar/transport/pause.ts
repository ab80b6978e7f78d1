import type { Timed, TimerWheel } from './timer-wheel.ts';

class Pause implements Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  readonly onDeadline: () => void;

  constructor(onDeadline: () => void) {
    this.onDeadline = onDeadline;
  }
}

/** Calls `proceed` in `ms`, up to one tick of the wheel later. Returns a canceller. */
export function pause(wheel: TimerWheel, ms: number, proceed: () => void): () => void {
  const timed = new Pause(proceed);
  wheel.arm(timed, ms);
  return () => wheel.disarm(timed);
}

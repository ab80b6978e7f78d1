import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { Endpoint } from '../upstream/endpoint.ts';

/** The share that an endpoint begins with: none at all, and it would never warm up. */
const LEAST = 0.1;
/** Steps in which a share grows. */
const STEPS = 20;
const LEAST_STEP_MS = 50;

/**
 * Endpoints that are new, or usable again, come to their full weight by and by. Those that were there from the
 * beginning are not new: it is this proxy that is.
 */
export class SlowStart implements Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  readonly durationMs: number;
  private readonly wheel: TimerWheel;
  private readonly onStep: () => void;
  /** When those that were usable the last time began; 0: long ago. */
  private usable: ReadonlyMap<Endpoint, number> | undefined = undefined;

  /** `durationMs`: until an endpoint has its full weight. `onStep`: weights are others now, call `apply`. */
  constructor(durationMs: number, wheel: TimerWheel, onStep: () => void) {
    this.durationMs = durationMs;
    this.wheel = wheel;
    this.onStep = onStep;
  }

  /** Sets the weight of each usable endpoint as it is due now. */
  apply(usable: readonly Endpoint[], nowMs: number): void {
    const before = this.usable;
    const began = new Map<Endpoint, number>();
    let grows = false;
    for (const endpoint of usable) {
      // Where none was usable before there is none to do more for a while.
      const sinceMs = before === undefined || before.size === 0 ? 0 : (before.get(endpoint) ?? nowMs);
      const grown = sinceMs === 0 ? 1 : (nowMs - sinceMs) / this.durationMs;
      began.set(endpoint, grown >= 1 ? 0 : sinceMs);
      endpoint.weight = endpoint.fullWeight * Math.min(1, Math.max(LEAST, grown));
      if (grown < 1) grows = true;
    }
    this.usable = began;
    if (grows && this.wheelSlot < 0) this.wheel.arm(this, Math.max(LEAST_STEP_MS, this.durationMs / STEPS));
  }

  onDeadline(): void {
    this.onStep();
  }

  close(): void {
    this.wheel.disarm(this);
  }
}

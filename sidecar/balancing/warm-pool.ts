import type { Timed, TimerWheel } from '../transport/timer-wheel.ts';
import type { Endpoint } from '../upstream/endpoint.ts';

const EVERY_MS = 1_000;
/** An endpoint to which no connection can be made is tried less and less often. */
const LONGEST_PAUSE = 32;

/** Keeps connections open to each endpoint that is used, before requests need them. */
export class WarmPool implements Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  private readonly wheel: TimerWheel;
  private endpoints: readonly Endpoint[] = [];
  private count = 0;
  private version = 0;
  /** By endpoint to which some were opened: rounds to wait, and how many it waits the next time. */
  private pauses = new Map<Endpoint, { left: number; next: number }>();

  constructor(wheel: TimerWheel) {
    this.wheel = wheel;
  }

  /** `count`: connections of HTTP/1.1 to each; of HTTP/2 one is enough. `version`: of HTTP. */
  keep(endpoints: readonly Endpoint[], count: number, version: number): void {
    this.endpoints = endpoints;
    this.count = count;
    this.version = version;
    if (this.wheelSlot < 0) this.onDeadline();
  }

  onDeadline(): void {
    const pauses: typeof this.pauses = new Map();
    for (const endpoint of this.endpoints) {
      const pause = this.pauses.get(endpoint) ?? { left: 0, next: 1 };
      if (pause.left > 0) pauses.set(endpoint, { ...pause, left: pause.left - 1 });
      else if (endpoint.keepWarm(this.count, this.version))
        pauses.set(endpoint, { left: pause.next - 1, next: Math.min(LONGEST_PAUSE, pause.next * 2) });
    }
    this.pauses = pauses;
    this.wheel.arm(this, EVERY_MS);
  }

  close(): void {
    this.wheel.disarm(this);
  }
}

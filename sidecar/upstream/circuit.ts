import { detached } from '../telemetry/detached.ts';
import type { Timed } from '../transport/timer-wheel.ts';
import { RollingCount } from './rolling-count.ts';

/** `closed`: requests flow. `open`: none. `half-open`: one at a time, as a probe. */
export type CircuitState = 'closed' | 'open' | 'half-open';

/** So many failures are remembered. */
const REMEMBERED = 5;
/** The reason code of another Tulle is its server's to choose. */
const LONGEST = 64;

/** One failed attempt: its status or the code of what went wrong, and when (wall clock, ms). */
export interface RecordedFailure {
  readonly result: string;
  readonly atMs: number;
}

/** What a circuit breaker knows of an endpoint, from its first failure on. Times in ms of the monotonic clock. */
export class Circuit implements Timed {
  wheelSlot = -1;
  wheelDeadline = 0;
  wheelNext: Timed | undefined = undefined;
  wheelPrevious: Timed | undefined = undefined;
  state: CircuitState = 'closed';
  /** When the state began. */
  sinceMs = 0;
  /** Failures in a row. */
  streak = 0;
  readonly counts = new RollingCount();
  /** The last failures, oldest first. */
  readonly failures: RecordedFailure[] = [];
  /** How often the next ejection is doubled. */
  level = 0;
  /** How long the last ejection was, and why. */
  ejectedMs = 0;
  why = '';
  /** Why it is not ejected, though it fails; '' while there is nothing to tell. */
  spared = '';
  /** A probe is under way, since when (Infinity: it is chosen, and begins next), and whether a good head came. */
  probing = false;
  probeMs = 0;
  answered = false;
  /** Probes that went well since it is half-open. */
  passed = 0;
  private readonly act: () => void;

  /** `act`: what is to be done at a deadline. */
  constructor(act: () => void) {
    this.act = act;
  }

  onDeadline(): void {
    this.act();
  }

  /** It gets no requests but probes. */
  get ejected(): boolean {
    return this.state !== 'closed';
  }

  enter(state: CircuitState, nowMs: number): void {
    this.state = state;
    this.sinceMs = nowMs;
    this.streak = 0;
    this.spared = '';
    this.probing = false;
    this.passed = 0;
  }

  remember(result: string): void {
    if (this.failures.length === REMEMBERED) this.failures.shift();
    this.failures.push({ result: detached(result.slice(0, LONGEST)), atMs: Date.now() });
  }
}

import type { LocalAnswer } from '../exchange.ts';

/** Turns of the event loop that were too long, one after the other, before requests are refused. */
const SLOW_TURNS = 2;

/**
 * Tells how long requests wait for this process: a turn of the event loop serves all that was ready when it began,
 * so that what is served at its end has waited for all before it. A single long turn (garbage collection, a
 * throttled container) refuses nobody; turn after turn of it is more work than one core can do, and then those
 * that have waited longer than the limit are refused, so that the others are still served in time. (CoDel's idea:
 * judge a queue by the time spent in it, and only when it stays.)
 */
export class Overload {
  private readonly limitMs: number;
  private turnStartMs = -1;
  private longestMs = 0;
  private slowTurns = 0;
  private readonly endTurn = (): void => {
    this.slowTurns = this.longestMs > this.limitMs ? this.slowTurns + 1 : 0;
    this.turnStartMs = -1;
    this.longestMs = 0;
  };

  /** `limitMs`: the longest wait; 0: nothing is refused. */
  constructor(limitMs: number) {
    this.limitMs = limitMs;
  }

  /** How long a request that is looked at now has waited too long, in ms; 0 when it may go on. */
  excess(nowMs: number): number {
    if (this.limitMs === 0) return 0;
    if (this.turnStartMs < 0) {
      this.turnStartMs = nowMs;
      setImmediate(this.endTurn);
      return 0;
    }
    const waited = nowMs - this.turnStartMs;
    if (waited > this.longestMs) this.longestMs = waited;
    return this.slowTurns >= SLOW_TURNS && waited > this.limitMs ? waited : 0;
  }
}

/** What those are told that had waited too long. */
export function overloaded(what: 'request' | 'TLS handshake', waitedMs: number): LocalAnswer {
  const detail = `this proxy has more work than its core can do: the ${what} had waited ${Math.round(waitedMs)} ms (--max-queue-time)`;
  return { status: 503, code: 'overloaded', detail };
}

import { readCoreTicks, readThreadTimes, timeBetween } from './cpu.ts';

/** What happened on the proxy core between two moments. */
export interface CoreUse {
  /** What the proxies ran, in ns. */
  nanoseconds: number;
  /** Share of the core that somebody else used: noise, 0..1. */
  otherShare: number;
}

/**
 * Begins to watch a core and the processes of the proxies on it; the function that it gives reads what became of
 * both since then. That one throws when a thread ended meanwhile.
 */
export function watchCore(core: number, pids: readonly number[]): () => CoreUse {
  const since = process.hrtime.bigint();
  const ticks = readCoreTicks(core);
  const times = readThreadTimes(pids);
  return () => {
    const nanoseconds = timeBetween(times, readThreadTimes(pids));
    const after = readCoreTicks(core);
    const proxyShare = nanoseconds / Number(process.hrtime.bigint() - since);
    const busy = (after.busy - ticks.busy) / (after.total - ticks.total);
    return { nanoseconds, otherShare: Math.max(0, busy - proxyShare) };
  };
}

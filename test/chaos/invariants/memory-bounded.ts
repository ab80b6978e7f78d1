import type { Invariant } from '../evidence.ts';

const MIB = 1024 * 1024;
/** Engines compile and heaps grow a little in any case. */
const GROWTH = 1.6;
const SLACK = 48 * MIB;

/** The most that a process may have after a storm, in bytes. */
export function memoryLimit(before: number): number {
  return before * GROWTH + SLACK;
}

/** After the storm a process has about as much memory as before. */
export const memoryBounded: Invariant = {
  name: 'memory-bounded',
  check: ({ memory }) =>
    memory
      .filter(({ before, after }) => after > memoryLimit(before))
      .map(({ part, before, after }) => ({
        invariant: 'memory-bounded',
        detail: `${part} has ${Math.round(after / MIB)} MiB after the storm, ${Math.round(before / MIB)} before`,
        requests: [],
      })),
};

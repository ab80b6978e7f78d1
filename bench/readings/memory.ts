import { readFileSync } from 'node:fs';

/** Memory of a process or of several, in bytes. */
export interface Memory {
  /** Resident set: all pages in memory, also those shared with others. */
  rss: number;
  /** Unique set: pages that nobody else maps, and which its end would free. */
  uss: number;
}

/** Reads `/proc/PID/smaps_rollup`. Throws when it has no Rss line. */
export function parseSmapsRollup(text: string): Memory {
  let rss: number | undefined;
  let uss = 0;
  for (const [, name = '', kibibytes] of text.matchAll(/^(\w+):\s+(\d+) kB$/gm)) {
    if (name === 'Rss') rss = Number(kibibytes) * 1024;
    if (name.startsWith('Private_')) uss += Number(kibibytes) * 1024;
  }
  if (rss === undefined) throw new Error('smaps_rollup without an Rss line');
  return { rss, uss };
}

/** The memory of all these processes together; pages that they share with each other count once each in `rss`. */
export function readMemory(pids: readonly number[]): Memory {
  const total: Memory = { rss: 0, uss: 0 };
  for (const pid of pids) {
    const one = parseSmapsRollup(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    total.rss += one.rss;
    total.uss += one.uss;
  }
  return total;
}

import { readdirSync, readFileSync } from 'node:fs';

/** In the environment of every process that a test run starts, however far down. */
export const MARK = 'TULLE_TEST_RUN';

/** Command lines of the processes of a run that are still there. */
export function leftovers(run: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`${MARK}=${run}`)) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      if (command !== '') found.push(`${pid} ${command}`);
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** In the environment of every process that a test run starts, however far down. */
export const MARK = 'TULLE_TEST_RUN';

export interface Leftover {
  readonly pid: number;
  readonly command: string;
}

/**
 * The processes of a run that are still there, those too whose parent has ended. They are known by a
 * variable of their environment in /proc: on a system without it, none is found.
 */
export function leftovers(run: string, variable: string = MARK): Leftover[] {
  const pids = existsSync('/proc/self/environ')
    ? readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    : [];
  return pids
    .map(Number)
    .filter((pid) => pid !== process.pid)
    .map((pid) => leftover(pid, `${variable}=${run}`))
    .filter((found) => found !== undefined);
}

function leftover(pid: number, mark: string): Leftover | undefined {
  try {
    if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark)) return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    // A process that has ended and that nobody has asked about yet has no command line.
    return command === '' ? undefined : { pid, command };
  } catch {
    return undefined; // It ended while we looked, or it is somebody else's.
  }
}

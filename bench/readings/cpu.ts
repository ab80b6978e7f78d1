import { readdirSync, readFileSync } from 'node:fs';

/** Nanoseconds each live thread has run, by `PID/TID`. */
export type ThreadTimes = ReadonlyMap<string, number>;

/** Reads `/proc/PID/task/TID/schedstat`: time on a cpu, time waiting for one (both ns), times run. */
export function parseSchedstat(text: string): number {
  const nanoseconds = /^(\d+) \d+ \d+\s*$/.exec(text)?.[1];
  if (nanoseconds === undefined) throw new Error(`not a schedstat line: ${JSON.stringify(text)}`);
  return Number(nanoseconds);
}

/** What `/proc/PID/stat` says of a process, as far as the bench needs it. */
interface ProcessState {
  group: number;
  /** Ended, and only waiting for its parent to read its exit code. */
  ended: boolean;
}

/** Reads `/proc/PID/stat`; the name in it may hold spaces and brackets. Throws on anything else. */
export function parseStat(text: string): ProcessState {
  const [state = '', , group] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (!/^[A-Za-z]$/.test(state) || !Number.isInteger(Number(group))) {
    throw new Error(`not a stat line: ${JSON.stringify(text)}`);
  }
  return { group: Number(group), ended: 'ZXx'.includes(state) };
}

/** The live processes of a group: a peer's master and its workers. */
export function processesOfGroup(group: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const process = parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
        return process.group === group && !process.ended;
      } catch {
        return false; // It ended between the listing and the reading.
      }
    })
    .map(Number);
}

/** Reads the time of every thread of these processes. */
export function readThreadTimes(pids: readonly number[]): ThreadTimes {
  const times = new Map<string, number>();
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      try {
        times.set(
          `${pid}/${thread}`,
          parseSchedstat(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')),
        );
      } catch (error) {
        if (
          (error as NodeJS.ErrnoException).code !== 'ENOENT' &&
          (error as NodeJS.ErrnoException).code !== 'ESRCH'
        )
          throw error;
      }
    }
  }
  return times;
}

/**
 * Nanoseconds run between two readings. Throws when a thread of the first is missing in the second, since
 * what it ran in between is lost and the sum would flatter the proxy.
 */
export function timeBetween(before: ThreadTimes, after: ThreadTimes): number {
  let total = 0;
  for (const [thread, nanoseconds] of after) total += nanoseconds - (before.get(thread) ?? 0);
  for (const thread of before.keys()) {
    if (!after.has(thread)) throw new Error(`thread ${thread} ended while it was measured`);
  }
  return total;
}

/** Clock ticks (10 ms) one core was busy, and all its ticks, since boot. */
export interface CoreTicks {
  busy: number;
  total: number;
}

/** Reads one core's line of `/proc/stat`. Time stolen by the hypervisor counts as busy: the proxy did not have it. */
export function parseCoreTicks(text: string, core: number): CoreTicks {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(text)?.[1];
  if (line === undefined) throw new Error(`/proc/stat has no cpu${core}`);
  // user nice system idle iowait irq softirq steal; guest time after them is already in user and nice.
  const ticks = line.split(' ').slice(0, 8).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  return { busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0), total };
}

/** Reads how busy a core was since boot. */
export function readCoreTicks(core: number): CoreTicks {
  return parseCoreTicks(readFileSync('/proc/stat', 'utf8'), core);
}

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The proxy has one core for itself; the client, the backend and the bench share the other. */
export interface Cores {
  proxy: number;
  load: number;
}

/** Reads a kernel list of cpus: `0-2,5` gives 0, 1, 2, 5. */
export function parseCpuList(text: string): number[] {
  return text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = Number.NaN, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

function siblings(cpu: number): number[] {
  try {
    return parseCpuList(
      readFileSync(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`, 'utf8'),
    );
  } catch {
    return [cpu];
  }
}

/**
 * Chooses two cores that share no hyper-thread, out of those this process may use. The load takes the first,
 * since cpu 0 also does the machine's housekeeping. Throws when there are no two.
 */
export function chooseCores(): Cores {
  const status = readFileSync('/proc/self/status', 'utf8');
  const allowed = parseCpuList(/^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? '');
  const load = allowed[0];
  if (load === undefined) throw new Error('the kernel does not say which cores this process may use');
  const taken = siblings(load);
  const proxy = allowed.find((cpu) => !taken.includes(cpu));
  if (proxy === undefined)
    throw new Error(`the bench needs two cores of its own, and may use only ${allowed.join(',')}`);
  return { proxy, load };
}

/** Pins this process with all its threads, and so all that it starts unless pinned elsewhere. */
export function pinSelf(core: number): void {
  const result = spawnSync('taskset', ['-acp', String(core), String(process.pid)]);
  if (result.status !== 0) throw new Error(`taskset: ${result.stderr}`);
}

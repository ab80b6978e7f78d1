import { readFileSync } from 'node:fs';

/** Whether a process is stopped, as by SIGSTOP (proc_pid_stat: the state comes after the name in brackets). */
export function isStopped(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
}

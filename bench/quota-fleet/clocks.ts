import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const APART_S = 60;

/** The environment by which the wall clocks of processes are a minute apart: behind, right, before, by turns. */
export function apart(dir: string): (index: number) => NodeJS.ProcessEnv {
  const library = join(dir, 'clock.so');
  const flags = ['-shared', '-fPIC', '-O2', '-o', library];
  const { status, stderr } = spawnSync('gcc', [...flags, join(import.meta.dirname, 'clock.c'), '-ldl']);
  if (status !== 0) throw new Error(`gcc: ${stderr}`);
  return (index) => ({ LD_PRELOAD: library, TULLE_BENCH_CLOCK: String(((index % 3) - 1) * APART_S) });
}

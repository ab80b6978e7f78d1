import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { processesOfGroup } from './readings/cpu.ts';

/** A program to start, and the core that it may use. */
export interface Program {
  name: string;
  command: string;
  args: readonly string[];
  core: number;
  /** File that takes what it prints. */
  log: string;
  /** Directory that it starts in. */
  directory: string;
}

/** A started program with all that it forks. */
export interface Running {
  name: string;
  group: number;
  /** Set once it ended by itself: what its log says at the end. */
  failure(): string | undefined;
  ended: Promise<void>;
}

const groups = new Set<number>();

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Ends a child's whole group with the bench, whatever ends the bench. The child must have been spawned detached. */
export function endWithBench(child: ChildProcess): void {
  const group = child.pid;
  if (group === undefined) return;
  groups.add(group);
  child.once('exit', () => {
    groups.delete(group);
    killGroup(group); // Workers outlive a master that crashed.
  });
}

/** Ends everything that still runs, at once and without waiting: for the bench's own end. */
export function killEverything(): void {
  for (const group of groups) killGroup(group);
  groups.clear();
}

function logTail(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').slice(-12).join('\n');
}

/** Starts a program in a process group of its own, pinned to its core. */
export function start(program: Program): Running {
  const log = openSync(program.log, 'w');
  const args = ['-c', String(program.core), program.command, ...program.args];
  const child = spawn('taskset', args, {
    stdio: ['ignore', log, log],
    detached: true,
    cwd: program.directory,
  });
  closeSync(log);
  endWithBench(child);
  let failure: string | undefined;
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      failure = error.message;
      resolve();
    });
    child.once('exit', (code, signal) => {
      failure = `${program.name} ended (${signal ?? `exit code ${code}`}):\n${logTail(program.log)}`;
      resolve();
    });
  });
  return { name: program.name, group: child.pid ?? 0, failure: () => failure, ended };
}

/** Ends a program with all that it forked, and waits until it is gone. Safe to call twice. */
export async function stop(running: Running): Promise<void> {
  if (running.failure() !== undefined) return;
  killGroup(running.group);
  await running.ended;
}

/** The processes of these programs, as they are now. */
export function processesOf(programs: readonly Running[]): number[] {
  return programs.flatMap(({ group }) => processesOfGroup(group));
}

/** Asks the kernel for so many different free ports of the loopback address. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject).listen(0, '127.0.0.1', () => {
            const address = server.address();
            if (address !== null && typeof address === 'object') resolve(address.port);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

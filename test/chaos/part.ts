import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { isStopped } from './process-state.ts';

/** A process that is not ready by then waits for something that will not come. */
const READY_MS = 90_000;

export interface PartOptions {
  readonly name: string;
  /** Node's arguments: the program and its own. */
  args(): readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The process ended and nobody here ended it. */
  onDeath(what: string): void;
}

/** One process of the mesh, started again after it was killed. Gone with the one that started it. */
export class Part {
  readonly name: string;
  /** The line of JSON by which it last said that it accepts. */
  ready: Readonly<Record<string, unknown>> = {};
  private readonly options: PartOptions;
  private child: ChildProcess | undefined = undefined;
  private ending = false;

  constructor(options: PartOptions) {
    this.name = options.name;
    this.options = options;
  }

  get pid(): number {
    const pid = this.child?.pid;
    if (pid === undefined) throw new Error(`${this.name} does not run`);
    return pid;
  }

  /** Resolves with its ready line. Throws an Error if it ends before. */
  async start(): Promise<void> {
    const { name, logFile, env, onDeath } = this.options;
    const log = openSync(logFile, 'a');
    const child = spawn(process.execPath, [...this.options.args()], {
      stdio: ['ignore', 'pipe', log, 'ipc'],
      env: { ...process.env, ...env },
    });
    closeSync(log);
    this.child = child;
    this.ending = false;
    child.on('error', () => {});
    const { stdout } = child;
    if (stdout === null) throw new Error('no standard output');
    const ended = once(child, 'exit').then(([code, signal]) => `${name} ended by itself: ${signal ?? code}`);
    const line = new Promise<string>((resolve) => {
      createInterface({ input: stdout }).on('line', resolve);
    });
    const late = new Promise<string>((resolve) => setTimeout(resolve, READY_MS, 'late').unref());
    const first = await Promise.race([line, ended.then(() => ''), late]);
    if (!first.startsWith('{'))
      throw new Error(`${name} was not ready: ${first || (await ended)}, see ${logFile}`);
    this.ready = JSON.parse(first) as Record<string, unknown>;
    void ended.then((what) => {
      if (this.child === child && !this.ending) onDeath(what);
    });
  }

  send(message: object): void {
    this.child?.send(message, () => {});
  }

  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  get isFrozen(): boolean {
    return isStopped(this.pid);
  }

  /** SIGKILL; resolves when it is gone. True: it ran, and ended by that. */
  async kill(): Promise<boolean> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return false;
    this.ending = true;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    const [, signal] = await ended;
    return signal === 'SIGKILL';
  }
}

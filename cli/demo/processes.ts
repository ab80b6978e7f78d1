import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const READY_MS = 60_000;
const KEEP_ERRORS = 20;

/** A part of the demo: a process of its own that ends when the demo ends, even by kill -9. */
export interface Part {
  readonly name: string;
  readonly child: ChildProcess;
  /** The line of JSON by which it said that it accepts. */
  readonly ready: Readonly<Record<string, unknown>>;
}

/** Starts and ends the demo's processes. */
export class Processes {
  private readonly children = new Map<ChildProcess, string>();
  private readonly logFile: string;
  private stopping = false;
  /** Called when a part ends that nobody ended. */
  onDeath: (name: string, code: number | null) => void = () => {};

  constructor(logFile: string) {
    this.logFile = logFile;
  }

  get count(): number {
    return this.children.size;
  }

  /** Runs `tulle ARGS`; resolves with its ready line. Throws an Error with its last words if it ends before. */
  start(name: string, args: readonly string[]): Promise<Part> {
    const entry = process.argv[1] ?? '';
    const stdio = ['ignore', 'pipe', 'pipe', 'ipc'] satisfies StdioOptions;
    // A Ctrl-C of the terminal goes to its whole process group: the parts are still asked about what they saw.
    const child = spawn(process.execPath, [entry, ...args], { stdio, detached: true });
    this.children.set(child, name);
    const errors: string[] = [];
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors.push(text);
      if (errors.length > KEEP_ERRORS) errors.shift();
      appendFileSync(this.logFile, text.replace(/^(?=.)/gm, `${name} `));
    });
    child.on('exit', (code) => {
      this.children.delete(child);
      if (!this.stopping) this.onDeath(name, code);
    });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${name} was not ready within ${READY_MS / 1000} s`)),
        READY_MS,
      );
      child.once('exit', (code) => {
        clearTimeout(timer);
        reject(new Error(`${name} ended with ${code}: ${errors.join('').trim().split('\n').at(-1) ?? ''}`));
      });
      if (child.stdout === null) return;
      createInterface({ input: child.stdout }).on('line', (line) => {
        const ready = readyLine(line);
        if (ready === undefined) return;
        clearTimeout(timer);
        resolve({ name, child, ready });
      });
    });
  }

  /** Ends all: asked first, then killed. Resolves when none is left. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    const gone = Promise.all(
      [...this.children.keys()].map((child) => new Promise((resolve) => child.once('exit', resolve))),
    );
    for (const child of this.children.keys()) child.kill('SIGTERM');
    const timer = setTimeout(() => {
      for (const child of this.children.keys()) child.kill('SIGKILL');
    }, graceMs);
    await gone;
    clearTimeout(timer);
  }
}

function readyLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isReady =
      value !== null && typeof value === 'object' && 'event' in value && value.event === 'ready';
    return isReady ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

import { type ChildProcess, fork } from 'node:child_process';
import type { Log } from '../log.ts';
import { WORKER_VARIABLE } from '../options.ts';
import {
  MAX_ARGUMENT,
  type Question,
  type Questions,
  readAnswer,
  readToSupervisor,
  type ToWorker,
} from './messages.ts';
import { RestartBackoff } from './restart-backoff.ts';

/** How a worker is started. */
export interface WorkerParts {
  /** The script that this process was started with, and its arguments. */
  readonly script: string;
  readonly args: readonly string[];
  readonly of: number;
  readonly log: Log;
  /** What it is told when it hears. */
  readonly start: () => ToWorker;
  /** It ended, whatever it was doing. */
  readonly onEnded: (worker: WorkerProcess) => void;
}

const ANSWER_MS = 1_000;
/** Questions in a pipe that nobody reads are memory, long after nobody waits for their answers. */
const MAX_UNANSWERED = 64;

/** The place of one worker: its process, and the next one when that ends. */
export class WorkerProcess {
  readonly number: number;
  restarts = 0;
  accepting = false;
  /** Why no process of this place accepts, while none does. */
  away = 'it is starting';
  private readonly parts: WorkerParts;
  private child: ChildProcess | undefined = undefined;
  private readonly asked = new Map<number, (body: string | undefined) => void>();
  private nextId = 0;
  /** Answers come in the order of their questions: all before this one were read. */
  private answeredId = -1;
  private readonly backoff = new RestartBackoff();
  private startMs = 0;
  private timer: NodeJS.Timeout | undefined = undefined;
  private stopped = false;
  /** Why its process cannot start, in its own words. */
  private failure: string | undefined = undefined;
  private firstStart: { resolve(): void; reject(error: Error): void } | undefined = undefined;
  /** Called when its process has ended and no other follows. */
  private onGone: (() => void) | undefined = undefined;

  constructor(number: number, parts: WorkerParts) {
    this.number = number;
    this.parts = parts;
  }

  /** Resolves when it accepts. Rejects with an Error if its first process cannot. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.firstStart = { resolve, reject };
      this.fork();
    });
  }

  tell(message: ToWorker): void {
    if (this.child?.connected === true) this.child.send(message, () => {}); // who is gone is heard of by 'exit'
  }

  /** Undefined if it does not answer within a second, or is not there. */
  ask<Q extends Question>(question: Q, argument = ''): Promise<{ value: Questions[Q] } | undefined> {
    const isFull = this.nextId - this.answeredId > MAX_UNANSWERED;
    if (!this.accepting || isFull || argument.length > MAX_ARGUMENT) return Promise.resolve(undefined);
    const id = this.nextId++;
    return new Promise((resolve) => {
      const settle = (body: string | undefined): void => {
        clearTimeout(timer);
        this.asked.delete(id);
        resolve(readAnswer(question, body));
      };
      const timer = setTimeout(() => settle(undefined), ANSWER_MS);
      this.asked.set(id, settle);
      this.tell({ type: 'ask', id, question, argument });
    });
  }

  /** Lets its process drain, and starts no other; resolves when it is gone. After `limitMs` it is killed. */
  async stop(limitMs: number): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    if (this.child === undefined) return;
    const gone = new Promise<void>((resolve) => {
      this.onGone = resolve;
    });
    this.tell({ type: 'drain' });
    const timer = setTimeout(() => this.child?.kill('SIGKILL'), limitMs);
    await gone;
    clearTimeout(timer);
  }

  kill(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.child?.kill('SIGKILL');
  }

  private fork(): void {
    const { script, args, of } = this.parts;
    this.startMs = performance.now();
    this.answeredId = this.nextId - 1;
    const child = fork(script, [...args], {
      env: { ...process.env, [WORKER_VARIABLE]: `${this.number}/${of}` },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.child = child;
    child.on('message', (message) => this.onMessage(child, message));
    child.on('error', (error) => {
      if (child.pid === undefined) this.onEnd(child, error.message);
    });
    child.on('exit', (code, signal) => this.onEnd(child, signal ?? `exit code ${code}`));
  }

  private onMessage(child: ChildProcess, received: unknown): void {
    if (child !== this.child) return;
    const message = readToSupervisor(received);
    switch (message?.type) {
      case 'hello':
        this.tell(this.parts.start());
        return;
      case 'accepting':
        this.accepting = true;
        this.firstStart?.resolve();
        this.firstStart = undefined;
        return;
      case 'failed':
        this.failure = message.message;
        return;
      case 'answer':
        this.answeredId = Math.max(this.answeredId, message.id);
        this.asked.get(message.id)?.(message.body);
        return;
      default:
        this.parts.log.error(
          { worker: this.number },
          'a worker sent what its supervisor does not understand',
        );
    }
  }

  private onEnd(child: ChildProcess, how: string): void {
    if (child !== this.child) return; // heard of already
    this.child = undefined;
    this.accepting = false;
    const reason = this.failure ?? `worker ${this.number} ended (${how})`;
    this.failure = undefined;
    this.away = `it is started again: ${reason}`;
    for (const settle of [...this.asked.values()]) settle(undefined);
    this.parts.onEnded(this);
    if (this.firstStart !== undefined) {
      this.stopped = true;
      this.firstStart.reject(new Error(reason));
      this.firstStart = undefined;
    }
    this.onGone?.();
    if (!this.stopped) this.again(reason);
  }

  private again(reason: string): void {
    const afterMs = this.backoff.next(performance.now() - this.startMs);
    this.parts.log.error(
      { worker: this.number, reason, afterMs },
      'a worker ended: it is started again, and the others go on',
    );
    this.timer = setTimeout(() => {
      this.restarts++;
      this.fork();
    }, afterMs);
  }
}

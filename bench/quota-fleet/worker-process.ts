import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Answer, Findings, Order, Start } from './messages.ts';

/** A process of some of a fleet's sidecars, as its parent sees it. */
export class WorkerProcess {
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  /** `env`: beside that of this process. */
  static async start(start: Start, env: NodeJS.ProcessEnv = {}): Promise<WorkerProcess> {
    const child = fork(join(import.meta.dirname, 'worker.ts'), {
      serialization: 'advanced', // counts are an array of numbers
      env: { ...process.env, ...env },
    });
    const worker = new WorkerProcess(child);
    await worker.ask(start);
    return worker;
  }

  /** Lets requests come for so long; times in ms since the start of the fleet. */
  async run(order: Order & { readonly type: 'run' }): Promise<Findings> {
    const answer = await this.ask(order);
    if (answer.type !== 'ran') throw new Error(`a process of sidecars answered ${answer.type}`);
    return answer.findings;
  }

  private async ask(order: Order): Promise<Answer> {
    const { child } = this;
    const over = new AbortController();
    const { signal } = over;
    const ended = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`a process of sidecars ended with ${code}`);
    });
    const answered = once(child, 'message', { signal }).then(([message]) => message as Answer); // of worker.ts
    child.send(order);
    try {
      return await Promise.race([answered, ended]);
    } finally {
      over.abort();
      await Promise.allSettled([answered, ended]);
    }
  }

  async close(): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

import { join } from 'node:path';
import { freePorts, type Running, start, stop } from '../processes.ts';

/** What a request goes through, as processes of their own. */
export interface Chain {
  readonly redisPort: number;
  readonly redis: Running;
  /** Who is called, and asks. */
  readonly proxy: Running;
  /** Who is asked, and asks Redis. */
  readonly limiter: Running;
  readonly port: number;
}

/** Starts programs in a directory, with a log each; on a core: callers and the proxy have 0, the others 1. */
export class Programs {
  readonly directory: string;
  private readonly running: Running[] = [];

  constructor(directory: string) {
    this.directory = directory;
  }

  start(name: string, command: string, args: readonly string[], core: 0 | 1): Running {
    const { directory } = this;
    const program = start({ name, command, args, core, log: this.log(name), directory });
    this.running.push(program);
    return program;
  }

  log(name: string): string {
    return join(this.directory, `${name}.log`);
  }

  async redis(): Promise<{ redis: Running; redisPort: number }> {
    const [redisPort = 0] = await freePorts(1);
    const args = ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', ''];
    return { redis: this.start('redis', 'redis-server', args, 1), redisPort };
  }

  async stop(): Promise<void> {
    for (const program of this.running.reverse()) await stop(program);
  }
}

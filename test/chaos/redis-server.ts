import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { until } from '../fixture/wait.ts';
import { isStopped } from './process-state.ts';

export interface RedisServerOptions {
  /** An own folder, empty. */
  readonly dir: string;
  readonly logFile: string;
  /** The process ended and nobody here ended it. */
  onDeath(what: string): void;
}

/**
 * A real Redis that keeps nothing on disk, at a Unix socket: a port of its own it could not have by the kernel. Gone with
 * the one that started it, however that ends.
 */
export class RedisServer {
  readonly socketFile: string;
  private readonly options: RedisServerOptions;
  private child: ChildProcess | undefined = undefined;
  private ending = false;

  constructor(options: RedisServerOptions) {
    this.options = options;
    this.socketFile = join(options.dir, 'redis.sock');
  }

  get pid(): number {
    const pid = this.child?.pid;
    if (pid === undefined) throw new Error('redis does not run');
    return pid;
  }

  get isFrozen(): boolean {
    return isStopped(this.pid);
  }

  /** Empty, also when it ran before. Resolves when it answers. */
  async start(): Promise<void> {
    const { dir, logFile, onDeath } = this.options;
    const log = openSync(logFile, 'a');
    const child = spawn(
      'setpriv',
      [
        ...['--pdeathsig', 'KILL', 'redis-server', '--port', '0', '--unixsocket', this.socketFile],
        ...['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction', '--dir', dir],
      ],
      { stdio: ['ignore', log, log] },
    );
    closeSync(log);
    this.child = child;
    this.ending = false;
    child.on('error', () => {});
    child.on('exit', (code, signal) => {
      if (this.child === child && !this.ending) onDeath(`redis ended by itself: ${signal ?? code}`);
    });
    await until('Redis to answer', () => answers(this.socketFile));
  }

  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  /** SIGKILL; resolves when it is gone. True: it ran, and ended by that. */
  async kill(): Promise<boolean> {
    const { child } = this;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return false;
    this.ending = true;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    const [, signal] = await ended;
    return signal === 'SIGKILL';
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path }, () => socket.write('PING\r\n'));
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('data', (bytes) => {
      resolve(bytes.toString().startsWith('+PONG'));
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(false));
  });
}

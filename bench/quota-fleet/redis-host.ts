import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { runCommand } from '../../test/fixture/command.ts';

let started = 0;

/**
 * A Redis on a host of its own: a network namespace, joined to this one by a pair of devices, of which packets can be
 * dropped. Needs root, ip and iptables.
 */
export class RedisHost {
  readonly address: string;
  private readonly name: string;
  private readonly dir: string;
  private child: ChildProcess;

  private constructor(name: string, address: string, dir: string, child: ChildProcess) {
    this.name = name;
    this.address = address;
    this.dir = dir;
    this.child = child;
  }

  static async start(dir: string): Promise<RedisHost> {
    // Each its own: a namespace goes some time after it was deleted.
    const number = started++;
    const name = `tulle${number}-${process.pid % 100_000}`;
    const [here, there] = [`${name}h`, `${name}n`];
    // 10.222.0.0/16 in parts of four addresses.
    const part = (process.pid + number) % 16_384;
    const [subnet, last] = [`10.222.${part >> 6}`, (part & 63) * 4];
    const address = `${subnet}.${last + 2}`;
    await done('ip', 'netns', 'add', name);
    try {
      await done('ip', 'link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name);
      await done('ip', 'addr', 'add', `${subnet}.${last + 1}/30`, 'dev', here);
      await done('ip', 'link', 'set', here, 'up');
      await done('ip', '-n', name, 'addr', 'add', `${address}/30`, 'dev', there);
      await done('ip', '-n', name, 'link', 'set', there, 'up');
    } catch (error) {
      await done('ip', 'netns', 'del', name);
      throw error;
    }
    const host = new RedisHost(name, address, dir, startRedis(name, address, dir));
    await host.answers();
    return host;
  }

  /** Nothing comes through any more, and nobody is told. */
  async cut(): Promise<void> {
    for (const chain of ['INPUT', 'OUTPUT'])
      await done('ip', 'netns', 'exec', this.name, 'iptables', '-A', chain, '-j', 'DROP');
  }

  async heal(): Promise<void> {
    await done('ip', 'netns', 'exec', this.name, 'iptables', '-F');
  }

  /** Ends Redis without a word. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }

  /** With nothing in memory. */
  restart(): void {
    this.child = startRedis(this.name, this.address, this.dir);
  }

  async ask(...command: string[]): Promise<string> {
    const { out } = await runCommand('redis-cli', ['-h', this.address, ...command], { limitMs: 5_000 });
    return out.trim();
  }

  private async answers(): Promise<void> {
    while ((await this.ask('PING')) !== 'PONG') await pause(50);
  }

  async close(): Promise<void> {
    await this.kill();
    await done('ip', 'netns', 'del', this.name);
  }
}

function startRedis(namespace: string, address: string, dir: string): ChildProcess {
  const redis = ['redis-server', '--bind', address, '--protected-mode', 'no', '--save', '', '--dir', dir];
  // `ip netns exec` becomes what it starts.
  return spawn('ip', ['netns', 'exec', namespace, ...redis], { stdio: 'ignore' });
}

async function done(command: string, ...args: string[]): Promise<void> {
  const { code, err } = await runCommand(command, args);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${err}`);
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { inNodeNetwork } from './cluster.ts';
import { readPackets, type Sightings } from './packets.ts';

/** Records what goes over the node's links until stopped. */
export interface Capture {
  stop(): Promise<Sightings>;
}

/**
 * Listens on every link of the node: to what leaves and reaches pods, not to what pods say to themselves. `filter`: of
 * pcap-filter(7), like `host 10.1.0.2 and host 10.1.0.3`. Each packet between two pods is seen twice, once on each link.
 */
export async function capture(context: TestContext, filter: string): Promise<Capture> {
  const [command = '', ...args] = inNodeNetwork(
    'tcpdump',
    '-i',
    'any',
    '-U',
    '--immediate-mode', // else what came last is lost with the block that it was to fill
    '-s',
    '0',
    '-w',
    '-',
    `tcp and (${filter})`,
  );
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  context.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'close');
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  let words = '';
  const listening = new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      words += text;
      if (words.includes('listening on')) resolve();
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`tcpdump ended: ${words}`)));
  });
  await listening;
  return {
    async stop() {
      child.kill('SIGINT');
      await ended;
      return readPackets(Buffer.concat(parts));
    },
  };
}

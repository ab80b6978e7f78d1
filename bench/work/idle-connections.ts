import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectByTls } from 'node:tls';
import { type ClientTls, clientTls } from '../ask/tls.ts';
import type { Figures } from '../figures.ts';
import { processesOf } from '../processes.ts';
import { type Memory, readMemory } from '../readings/memory.ts';
import type { Job } from './site.ts';

/** A loopback address has ports for some ten thousands of connections: several share them. */
const perAddress = 2500;
/** So many handshakes are under way at once. */
const atOnce = 64;
const settleSeconds = 5;

interface Client {
  port: number;
  request: string;
  responseBytes: number;
  tls: ClientTls | undefined;
}

/** Opens a connection, has one request answered, and leaves it open. */
function openIdle({ port, request, responseBytes, tls }: Client, index: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const localAddress = `127.0.0.${2 + Math.floor(index / perAddress)}`;
  const plain = connect({ port, host: '127.0.0.1', localAddress });
  const socket = tls === undefined ? plain : connectByTls({ ...tls, socket: plain });
  socket.once(tls === undefined ? 'connect' : 'secureConnect', () => socket.write(request));
  socket.setTimeout(10_000, () => reject(new Error('an idle connection had no answer in 10 s')));
  let answer = '';
  const take = (text: string) => {
    answer += text;
    const end = answer.indexOf('\r\n\r\n');
    if (end < 0 || answer.length < end + 4 + responseBytes) return;
    socket.off('data', take).setTimeout(0);
    if (answer.startsWith('HTTP/1.1 200')) resolve(socket);
    else reject(new Error(`an idle connection was answered ${answer.split('\r\n', 1)[0]}`));
  };
  socket.setEncoding('latin1').on('data', take);
  plain.on('error', reject);
  socket.on('error', reject);
  return promise;
}

/** Opens so many into `open`, a few at a time. Rejects with the first that fails. */
async function openAll(client: Client, count: number, open: Socket[]): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) open.push(await openIdle(client, next++));
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** The least that the proxies have in some seconds: what a handshake left behind goes. */
async function settledMemory(pids: readonly number[]): Promise<Memory> {
  let least = { rss: Number.POSITIVE_INFINITY, uss: Number.POSITIVE_INFINITY };
  for (let second = 0; second < settleSeconds; second++) {
    await sleep(1000);
    const { rss, uss } = readMemory(pids);
    least = { rss: Math.min(least.rss, rss), uss: Math.min(least.uss, uss) };
  }
  return least;
}

function destroyAll(open: Socket[]): void {
  for (const socket of open) {
    socket.removeAllListeners('error').on('error', () => undefined);
    socket.destroy();
  }
  open.length = 0;
}

/** What an idle connection costs the proxy: memory of its processes, without the kernel's for the sockets. */
export async function measureIdleConnections(job: Job, count: number): Promise<Figures> {
  const { site, scenario, way } = job;
  const client: Client = {
    port: way.ports[0] ?? 0,
    request: `GET ${scenario.path} HTTP/1.1\r\nHost: ${scenario.host}\r\n\r\n`,
    responseBytes: scenario.responseBytes,
    tls: scenario.hops[0]?.accepts === 'mtls' ? clientTls(site.certificates) : undefined,
  };
  const open: Socket[] = [];
  const pids = processesOf(way.proxies);
  try {
    await openAll(client, 200, open); // What the first connections make once does not count.
    destroyAll(open);
    const before = await settledMemory(pids);
    await openAll(client, count, open);
    const after = await settledMemory(pids);
    const closed = open.filter((socket) => socket.readableEnded || socket.destroyed).length;
    if (closed > 0) throw new Error(`${closed} of ${count} connections did not stay`);
    return {
      connectionRss: (after.rss - before.rss) / 1024 / count,
      connectionUss: (after.uss - before.uss) / 1024 / count,
    };
  } finally {
    destroyAll(open);
  }
}

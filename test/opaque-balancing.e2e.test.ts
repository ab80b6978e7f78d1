import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDir, writeMesh } from './fixture/relay.ts';
import { metric } from './fixture/tcp-mesh.ts';
import { startTulle } from './fixture/tulle.ts';
import { until } from './fixture/wait.ts';

/** A server that says its name, and keeps what it accepts until the client ends it. */
interface Server {
  readonly name: string;
  readonly address: string;
  /** Connections that it accepted, ever. */
  accepted: number;
  stop(): void;
}

async function named(context: TestContext, name: string): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    one.accepted++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write(name);
  });
  const stop = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(stop);
  const { port } = server.address() as AddressInfo; // it listens by TCP
  const one: Server = { name, address: `127.0.0.1:${port}`, accepted: 0, stop };
  return one;
}

const fourServers = (context: TestContext): Promise<Server[]> =>
  Promise.all(['a', 'b', 'c', 'd'].map((name) => named(context, name)));

/** A stream through the sidecar: who serves it, and how it ends. */
interface Stream {
  readonly name: string;
  /** Resolves when the sidecar has ended it too. */
  close(): Promise<void>;
}

interface Opaque {
  readonly admin: string;
  /** Writes the mesh file anew, with these endpoints. */
  write(servers: readonly Server[]): void;
  /** Opens a stream to the service of `balances[index]`. Rejects if it is reset. */
  open(index: number): Promise<Stream>;
  /** Waits until no stream is open any more, for the sidecar as well. */
  settled(): Promise<void>;
}

/** A sidecar in a process of its own, in zone `z1`, before an opaque service for each of `balances`. */
async function opaque(
  context: TestContext,
  servers: readonly Server[],
  balances: readonly string[],
  { near = [] as readonly string[], annotations = {} as Readonly<Record<string, string>> } = {},
): Promise<Opaque> {
  const file = join(temporaryDir(context), 'mesh.yaml');
  const write = (those: readonly Server[]): void => {
    const endpoints = those.map(({ name, address }) => ({
      address,
      zone: near.includes(name) ? 'z1' : 'z2',
    }));
    writeMesh(file, {
      services: balances.map((balance, index) => ({
        name: `s${index}`,
        namespace: 't',
        port: 7000 + index,
        protocol: 'tcp',
        endpoints,
        annotations: { ...annotations, 'tulle.dev/balance': balance },
      })),
    });
  };
  write(servers);
  const listeners = balances.flatMap((_, index) => ['--outbound-service', `t/s${index}=127.0.0.1:0`]);
  const { ready } = await startTulle(
    context,
    ...['sidecar', '--standalone', file, '--namespace', 't', '--zone', 'z1', '--admin', '127.0.0.1:0'],
    ...listeners,
  );
  const bound = ready.outboundServices as unknown as Record<string, string>;
  const total = (what: string) => metric(ready.admin ?? '', `istio_tcp_connections_${what}_total`);
  return {
    admin: ready.admin ?? '',
    write,
    open: (index) => open(context, bound[`t/s${index}`] ?? ''),
    settled: () =>
      until('the end of all streams', async () => (await total('closed')) === (await total('opened'))),
  };
}

function open(context: TestContext, address: string): Promise<Stream> {
  const [host = '', port] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), host);
    context.after(() => socket.destroy());
    const closed = new Promise<void>((over) => socket.once('close', () => over()));
    const close = (): Promise<void> => {
      socket.end();
      return closed;
    };
    socket.once('data', (bytes) => resolve({ name: bytes.toString(), close }));
    socket.once('end', () => reject(new Error('it ended without a word')));
    socket.on('error', reject);
  });
}

/** Who serves so many streams, one after the other. */
async function inTurn(sidecar: Opaque, index: number, times: number): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let i = 0; i < times; i++) {
    const { name, close } = await sidecar.open(index);
    await close();
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** Who serves so many streams at once, the oldest first; all are ended. */
async function together(sidecar: Opaque, index: number, times: number): Promise<string[]> {
  const streams: Stream[] = [];
  for (let i = 0; i < times; i++) streams.push(await sidecar.open(index));
  await Promise.all(streams.map(({ close }) => close()));
  await sidecar.settled();
  return streams.map(({ name }) => name);
}

function of(name: string, names: readonly string[]): number {
  return names.filter((one) => one === name).length;
}

test('opaque streams: strategies, a source, zones and subsets', async (context) => {
  const balances = [
    'round-robin',
    'ring-hash source',
    'maglev source',
    'random, zone prefer',
    'random, subset 3',
    // Of what an opaque stream does not have there is no key.
    'ring-hash header:x-user',
  ];
  const sidecar = await opaque(context, await fourServers(context), balances, { near: ['a', 'b'] });
  const names = async (index: number) => [...(await inTurn(sidecar, index, 40)).keys()].sort();
  assert.deepEqual(await names(0), ['a', 'b', 'c', 'd']);
  assert.equal((await names(1)).length, 1);
  assert.equal((await names(2)).length, 1);
  assert.deepEqual(await names(3), ['a', 'b']);
  assert.equal((await names(4)).length, 3);
  assert.ok((await names(5)).length > 1);
});

test('opaque streams of one source are bounded, and their endpoint is the same again when they are over', async (context) => {
  // 24 of 4 endpoints: so many percent of 6, rounded up.
  const bounds = [
    ['ring-hash source', 8],
    ['maglev source, bounded 101%', 7],
    ['ring-hash source, bounded 1000%', 24],
  ] as const;
  const balances = bounds.map(([balance]) => balance);
  const sidecar = await opaque(context, await fourServers(context), balances);
  for (const [index, [balance, most]] of bounds.entries()) {
    const first = await together(sidecar, index, 24);
    assert.equal(of(first[0] ?? '', first), most, `${balance}: ${first}`);
    const again = await together(sidecar, index, 24);
    assert.deepEqual(again, first, balance);
  }
});

const ZONED = ['p2c-ewma, zone prefer', 'least-request, zone prefer', 'round-robin, zone prefer'];

test('opaque streams that are open spill to other zones, and when they are over the zone is preferred again', async (context) => {
  const sidecar = await opaque(context, await fourServers(context), ZONED, { near: ['a'] });
  for (const [index, balance] of ZONED.entries()) {
    for (let round = 0; round < 2; round++) {
      const names = await together(sidecar, index, 40);
      // Up to one at each endpoint of the zone all stay, of those above 4 a quarter: all or none has a chance below 10^-9.
      assert.deepEqual(names.slice(0, 2), ['a', 'a'], `${balance}, round ${round}`);
      const near = of('a', names);
      assert.ok(near > 2 && near < 40, `${balance}, round ${round}: ${names}`);
    }
  }
});

test('opaque streams leave a zone as far as it lost endpoints, and all do when none is left', async (context) => {
  const servers = await fourServers(context);
  const annotations = { 'tulle.dev/health-check': 'tcp every 1s' };
  const sidecar = await opaque(context, servers, ZONED, { near: ['a', 'b'], annotations });
  const [a, b] = servers;
  for (const index of ZONED.keys())
    assert.deepEqual([...(await inTurn(sidecar, index, 20)).keys()].sort(), ['a', 'b']);
  a?.stop();
  for (const [index, balance] of ZONED.entries()) {
    await until(`another zone by ${balance}`, async () => (await inTurn(sidecar, index, 5)).size > 1);
    // Of 100, 70 stay: 1.4 times the half that is left. Fewer than 45 or all have a chance below 10^-6.
    const counts = await inTurn(sidecar, index, 100);
    const stay = counts.get('b') ?? 0;
    assert.ok(stay >= 45 && stay < 100, `${balance}: ${JSON.stringify([...counts])}`);
    assert.ok(!counts.has('a'), balance);
  }
  b?.stop();
  for (const index of ZONED.keys())
    for (const name of (await inTurn(sidecar, index, 20)).keys()) assert.match(name, /[cd]/);
});

test('an opaque stream that cannot be connected in its zone goes to another zone', async (context) => {
  const servers = await fourServers(context);
  const annotations = { 'tulle.dev/circuit-breaker': 'off' };
  const sidecar = await opaque(context, servers, ZONED, { near: ['a'], annotations });
  servers[0]?.stop();
  for (const index of ZONED.keys())
    for (const name of (await inTurn(sidecar, index, 10)).keys()) assert.match(name, /[bcd]/);
});

test('connections of an opaque service are not opened before a stream needs them', async (context) => {
  const servers = await fourServers(context);
  const sidecar = await opaque(context, servers, ['round-robin, warm 5', 'round-robin']);
  const accepted = () => servers.reduce((sum, server) => sum + server.accepted, 0);
  await inTurn(sidecar, 0, 8);
  assert.equal(accepted(), 8);
});

test('a new endpoint of an opaque service starts slowly', async (context) => {
  const servers = await fourServers(context);
  const balances = ['p2c-ewma, slow-start 1h', 'random, slow-start 1h', 'random'];
  const sidecar = await opaque(context, servers.slice(0, 3), balances);
  for (const index of balances.keys()) assert.ok(!(await inTurn(sidecar, index, 20)).has('d'));
  sidecar.write(servers);
  await until('the new one to be told', async () => (await inTurn(sidecar, 2, 20)).has('d'));
  for (const index of [0, 1]) {
    // Its share is a tenth of a full one: 1 of 31. More than 20 of 150 has a chance below 10^-6.
    const counts = await inTurn(sidecar, index, 150);
    assert.ok((counts.get('d') ?? 0) <= 20, `${balances[index]}: ${JSON.stringify([...counts])}`);
  }
});

test('with fewer than half of the endpoints of an opaque service healthy all are tried, unless panic says less', async (context) => {
  const servers = await fourServers(context);
  const annotations = { 'tulle.dev/health-check': 'tcp every 1s', 'tulle.dev/circuit-breaker': 'off' };
  const sidecar = await opaque(context, servers, ['random', 'random, panic 20%'], { annotations });
  for (const { name, stop } of servers) if (name !== 'a') stop();
  const panics = () => metric(sidecar.admin, 'tulle_balance_panic');
  await until('a panic of the first, and the one that is left to be all that the second uses', async () => {
    // A stream that was connected to none of those that it may try is reset.
    const all = await Promise.all([inTurn(sidecar, 0, 1), inTurn(sidecar, 1, 20)]).catch(() => []);
    return all[1]?.get('a') === 20 && (await panics()) === 1;
  });
  await inTurn(sidecar, 0, 1).catch(() => {});
  const explained = await (await fetch(`http://${sidecar.admin}/explain`)).text();
  assert.match(explained, /only 1 of 4 endpoints can be used, fewer than panic 50%/);
});

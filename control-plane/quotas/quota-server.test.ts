import assert from 'node:assert/strict';
import type { ClientHttp2Stream } from 'node:http2';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lineReader } from '../../protocol/line-reader.ts';
import type { DrawRequest, QuotaReply } from '../../protocol/quotas/messages.ts';
import { NODE_HEADER, QUOTA_PATH } from '../../protocol/quotas/messages.ts';
import { temporaryDir } from '../../test/fixture/relay.ts';
import { until } from '../../test/fixture/wait.ts';
import { openAuthority } from '../authority/authority.ts';
import { credentials, type RawSidecar, rawSidecar } from '../distribution/raw-sidecar.fixture.ts';
import { openControlServer } from '../distribution/server.ts';
import { MemoryRegistry } from '../registry/memory-registry.fixture.ts';
import { openMemoryStore } from './memory-store.ts';
import { type QuotaStore, StoreOutage } from './quota-store.ts';

const QUOTA = 't/app#token-bucket:86400000:';
const mesh = (rateLimit: string) => ({
  services: [
    { name: 'app', namespace: 't', port: 80, annotations: { 'tulle.dev/rate-limit': rateLimit } },
    { name: 'other', namespace: 't', port: 80 },
  ],
});

async function running(
  context: TestContext,
  quotas: QuotaStore = openMemoryStore({ bornMs: Number.NEGATIVE_INFINITY }),
) {
  const authority = await openAuthority(join(temporaryDir(context), 'state'), { trustDomain: 'mesh.local' });
  const registry = new MemoryRegistry(mesh('100/d'));
  const logged: string[] = [];
  const log = {
    debug() {},
    info() {},
    warn: (...line: unknown[]) => void logged.push(JSON.stringify(line)),
    error() {},
  };
  const listen = { host: '127.0.0.1', port: 0 };
  const server = await openControlServer(listen, authority, registry, log, { quotas });
  const sidecars: RawSidecar[] = [];
  context.after(async () => {
    for (const { session } of sidecars) session.destroy();
    await server.close();
    authority.close();
  });
  return {
    server,
    registry,
    logged,
    async sidecar(workload: string): Promise<RawSidecar> {
      const proof = await credentials(authority, workload);
      const sidecar = rawSidecar(`https://${server.address}`, { ca: authority.bundlePem, ...proof });
      sidecars.push(sidecar);
      return sidecar;
    },
  };
}

interface Drawing {
  readonly stream: ClientHttp2Stream;
  readonly replies: QuotaReply[];
  closed: boolean;
  status: number;
  /** Says that it ends, and does. */
  leave(): void;
  ask(request: Partial<DrawRequest>): Promise<QuotaReply>;
}

function drawing(sidecar: RawSidecar, headers: Record<string, string> = {}): Drawing {
  const stream = sidecar.session.request(
    { ':method': 'POST', ':path': QUOTA_PATH, ...headers },
    { endStream: false },
  );
  const replies: QuotaReply[] = [];
  let id = 0;
  const drawing: Drawing = {
    stream,
    replies,
    closed: false,
    status: 0,
    leave() {
      stream.end(`${JSON.stringify({ type: 'leave' })}\n`);
    },
    async ask(request) {
      const asked = id++;
      const items = [{ quota: QUOTA, subject: '', want: 1, back: 0 }];
      stream.write(`${JSON.stringify({ type: 'draw', id: asked, items, ...request })}\n`);
      const answer = () => replies.find((reply) => 'id' in reply && reply.id === asked);
      await until('an answer', () => answer() !== undefined || drawing.closed);
      const reply = answer();
      assert.ok(reply !== undefined, 'the stream was closed');
      return reply;
    },
  };
  stream.on('response', (headers) => {
    drawing.status = Number(headers[':status']);
  });
  stream.on('error', () => {});
  stream.on('close', () => {
    drawing.closed = true;
  });
  stream.on(
    'data',
    lineReader(
      1_000_000,
      (line) => replies.push(JSON.parse(line) as QuotaReply),
      () => stream.destroy(),
    ),
  );
  return drawing;
}

const item = (want: number, back = 0, quota = QUOTA) => ({ quota, subject: '', want, back });
const grantedOf = (reply: QuotaReply) =>
  reply.type === 'grants' ? reply.grants.map(({ granted }) => granted) : reply;

test('a sidecar of the service draws, gives back, and gets no more than there is', async (context) => {
  const { sidecar, server } = await running(context);
  const stream = drawing(await sidecar('t/app'));
  assert.deepEqual(grantedOf(await stream.ask({ items: [item(70)] })), [70]);
  assert.deepEqual(grantedOf(await stream.ask({ items: [item(70)] })), [30]);
  assert.deepEqual(grantedOf(await stream.ask({ items: [item(0, 20)] })), [0]);
  assert.deepEqual(grantedOf(await stream.ask({ items: [item(70)] })), [20]);
  const { granted, returned, draws } = server.numbers.quotas;
  assert.deepEqual([granted, returned, draws], [120, 20, 4]);
});

test('an attacker who gives back what another drew makes the quota no larger', async (context) => {
  const { sidecar } = await running(context);
  const honest = drawing(await sidecar('t/app'));
  const attacker = drawing(await sidecar('t/app'));
  assert.deepEqual(grantedOf(await honest.ask({ items: [item(100)] })), [100]);
  assert.deepEqual(grantedOf(await attacker.ask({ items: [item(100, 100)] })), [0]);
});

for (const workload of ['t/other', 'u/app', 't/stranger'])
  test(`a workload that tries to use up the quota of another service is refused: ${workload}`, async (context) => {
    const { sidecar } = await running(context);
    const stream = drawing(await sidecar(workload));
    const reply = await stream.ask({ items: [item(100)] });
    assert.equal(reply.type, 'refused');
    assert.deepEqual(grantedOf(await drawing(await sidecar('t/app')).ask({ items: [item(100)] })), [100]);
  });

test('an attacker who is refused again and again does not have the service worked out each time', async (context) => {
  const { sidecar, registry } = await running(context);
  const stream = drawing(await sidecar('t/stranger'));
  let looks = 0;
  const get = registry.get.bind(registry);
  registry.get = (...names: Parameters<typeof get>) => {
    looks++;
    return get(...names);
  };
  for (let times = 0; times < 20; times++) {
    const replies = await Promise.all(Array.from({ length: 20 }, () => stream.ask({})));
    assert.ok(replies.every(({ type }) => type === 'refused'));
  }
  assert.ok(looks < 100, `${looks} of 400`);
});

test('a client without a certificate of the mesh is answered 403', async (context) => {
  const { server } = await running(context);
  const stranger = rawSidecar(`https://${server.address}`, { rejectUnauthorized: false });
  context.after(() => stranger.session.destroy());
  const stream = drawing(stranger);
  await until('a status', () => stream.status !== 0);
  assert.equal(stream.status, 403);
});

test('a quota that is not there, one that is named twice and one of another service in the same message are refused', async (context) => {
  const { sidecar } = await running(context);
  const stream = drawing(await sidecar('t/app'));
  for (const items of [
    [item(1, 0, 't/app#nothing')],
    [item(1), item(1)],
    [item(1), item(1, 0, 't/other#token-bucket:1000:')],
    [item(1, 0, 'nothing')],
  ])
    assert.equal((await stream.ask({ items })).type, 'refused');
});

test('an attacker who sends what is no message, too many items or an endless line loses the stream, and no other', async (context) => {
  const { sidecar } = await running(context);
  const attacker = await sidecar('t/app');
  const many = { type: 'draw', id: 1, items: Array.from({ length: 257 }, () => item(1)) };
  for (const line of ['{', '{}\n', 'x\n', `${JSON.stringify(many)}\n`, 'x'.repeat(600_000)]) {
    const stream = drawing(attacker);
    stream.stream.write(line === '{' ? '{\n' : line);
    await until(`the end of the stream after ${line.slice(0, 20)}`, () => stream.closed);
  }
  assert.deepEqual(grantedOf(await drawing(attacker).ask({ items: [item(1)] })), [1]);
});

test('an attacker whose message has a field with an endless name fills no log', async (context) => {
  const { sidecar, logged } = await running(context);
  const stream = drawing(await sidecar('t/app'));
  const message = { type: 'draw', id: 1, items: [item(1)], ['x'.repeat(500_000)]: 1 };
  stream.stream.write(`${JSON.stringify(message)}\n`);
  await until('the end of the stream', () => stream.closed);
  assert.ok(logged.length > 0 && logged.join().length < 1_000, `${logged.join().length} characters`);
});

test('one session has a few streams of quotas and no more, also beside that of resources', async (context) => {
  const { sidecar } = await running(context);
  const { session } = await sidecar('t/app');
  const open = { session, over: undefined, call: () => assert.fail() };
  const streams = Array.from({ length: 5 }, () => drawing(open));
  await until('all statuses', () => streams.every(({ status }) => status !== 0));
  assert.deepEqual(streams.map(({ status }) => status).sort(), [200, 200, 200, 200, 429]);
});

test('while the store cannot be asked, a draw is answered with its outage', async (context) => {
  const store = openMemoryStore();
  store.draw = () => Promise.reject(new StoreOutage('Redis does not answer'));
  const { sidecar, server } = await running(context, store);
  const reply = await drawing(await sidecar('t/app')).ask({});
  assert.deepEqual(reply, { type: 'outage', id: 0, detail: 'Redis does not answer' });
  assert.equal(server.numbers.quotas.outages, 1);
});

test('a stream that does not read its answers is not read either: what it asks for is not piled up', async (context) => {
  let draws = 0;
  const store = openMemoryStore();
  store.draw = () => {
    draws++;
    return new Promise(() => {});
  };
  const { sidecar, server } = await running(context, store);
  const { stream, replies } = drawing(await sidecar('t/app'));
  for (let id = 0; id < 100; id++)
    stream.write(`${JSON.stringify({ type: 'draw', id, items: [item(1)] })}\n`);
  await until('what is too much to be refused', () => replies.length === 100 - 64);
  assert.equal(draws, 64);
  assert.equal(server.numbers.quotas.refused, 36);
});

test('new numbers of a quota are told to who draws on it, and in force at once', async (context) => {
  const { sidecar, registry } = await running(context);
  const stream = drawing(await sidecar('t/app'));
  await stream.ask({ items: [item(10)] });
  registry.change(mesh('50/d burst 20'), 't/app');
  await until('the news', () => stream.replies.some(({ type }) => type === 'changed'));
  const changed = { type: 'changed', quota: QUOTA, tokens: 50, perMs: 86_400_000, burst: 20 };
  assert.deepEqual(stream.replies.at(-1), changed);
  const reply = await stream.ask({ items: [item(100)] });
  assert.ok(Number((grantedOf(reply) as number[])[0]) <= 20);
});

test('a quota that takes the place of another refuses nobody who has not heard of it yet', async (context) => {
  const { sidecar, registry } = await running(context);
  const stream = drawing(await sidecar('t/app'));
  assert.deepEqual(grantedOf(await stream.ask({ items: [item(10)] })), [10]);
  registry.change(mesh('window 90/d'), 't/app');
  assert.deepEqual(grantedOf(await stream.ask({ items: [item(10)] })), [10]);
  const fresh = 't/app#sliding-window:86400000:';
  assert.deepEqual(grantedOf(await stream.ask({ items: [item(100, 0, fresh)] })), [90]);
  assert.deepEqual(grantedOf(await stream.ask({ items: [item(1000)] })), [80], 'and is what it was');
});

const sharers = async (stream: Drawing) => {
  const reply = await stream.ask({});
  return reply.type === 'grants' ? reply.grants[0]?.sharers : undefined;
};

test('a sidecar with a name is the same one after it connected again, and one that says that it leaves has no share', async (context) => {
  const { sidecar, server } = await running(context);
  const other = drawing(await sidecar('t/app'), { [NODE_HEADER]: 'pod-2' });
  await other.ask({});
  const first = await sidecar('t/app');
  const before = drawing(first, { [NODE_HEADER]: 'pod-1' });
  await before.ask({});
  assert.equal(await sharers(other), 2);
  const again = drawing(await sidecar('t/app'), { [NODE_HEADER]: 'pod-1' });
  assert.equal(await sharers(again), 2);
  before.leave();
  await until('the old stream to be gone', () => server.numbers.drawing === 2);
  assert.equal(await sharers(other), 2);
  again.leave();
  await until('one stream to be left', () => server.numbers.drawing === 1);
  assert.equal(await sharers(other), 1);
});

test('a sidecar that is gone without a word keeps its share: it may be cut off, and go on by itself', async (context) => {
  const { sidecar, server } = await running(context);
  const stays = drawing(await sidecar('t/app'), { [NODE_HEADER]: 'pod-2' });
  const goes: ((one: RawSidecar, draws: Drawing) => void)[] = [
    ({ session }) => session.destroy(),
    ({ session }) => session.close(),
    (_, { stream }) => stream.end(),
    (_, { stream }) => stream.close(),
  ];
  await stays.ask({});
  for (const [index, go] of goes.entries()) {
    const one = await sidecar('t/app');
    const draws = drawing(one, { [NODE_HEADER]: `gone-${index}` });
    await draws.ask({});
    go(one, draws);
    draws.stream.end();
    await until('one stream to be left', () => server.numbers.drawing === 1);
    assert.equal(await sharers(stays), 2 + index);
  }
});

test('a draw that is under way when a sidecar leaves does not make it a member again', async (context) => {
  const store = openMemoryStore({ bornMs: Number.NEGATIVE_INFINITY });
  const held = Promise.withResolvers<void>();
  let draws = 0;
  const slow: QuotaStore = {
    ...store,
    async draw(...asked) {
      if (draws++ > 0) await held.promise;
      return store.draw(...asked);
    },
  };
  const { sidecar, server } = await running(context, slow);
  const goes = drawing(await sidecar('t/app'), { [NODE_HEADER]: 'pod-1' });
  await goes.ask({});
  void goes.ask({}).catch(() => {});
  await until('the second draw', () => draws === 2);
  goes.leave();
  await until('no stream to be left', () => server.numbers.drawing === 0);
  held.resolve();
  const other = drawing(await sidecar('t/app'), { [NODE_HEADER]: 'pod-2' });
  assert.equal(await sharers(other), 1);
});

/** One store as two control planes have it: what one announces, the other hears. */
function sharedStore(): [QuotaStore, QuotaStore] {
  const store = openMemoryStore({ bornMs: Number.NEGATIVE_INFINITY });
  const listeners: Parameters<QuotaStore['onAnnounced']>[0][] = [];
  const one = (): QuotaStore => ({
    ...store,
    announce(service, quotas) {
      for (const listener of listeners) listener(service, quotas);
    },
    onAnnounced: (listener) => void listeners.push(listener),
  });
  return [one(), one()];
}

test('new numbers that one control plane knows are told and in force at another whose registry is behind', async (context) => {
  const [first, second] = sharedStore();
  const knows = await running(context, first);
  const behind = await running(context, second);
  const here = drawing(await knows.sidecar('t/app'));
  const there = drawing(await behind.sidecar('t/app'));
  await here.ask({ items: [item(1)] });
  assert.deepEqual(grantedOf(await there.ask({ items: [item(10)] })), [10]);
  knows.registry.change(mesh('20/d'), 't/app');
  const changed = { type: 'changed', quota: QUOTA, tokens: 20, perMs: 86_400_000, burst: 20 };
  for (const { replies } of [here, there]) {
    await until('the news', () => replies.some(({ type }) => type === 'changed'));
    assert.deepEqual(
      replies.filter(({ type }) => type === 'changed'),
      [changed],
    );
  }
  const [granted] = grantedOf(await there.ask({ items: [item(1000)] })) as number[];
  assert.ok(granted !== undefined && granted <= 20, `${granted} of the old numbers`);
  // Who can publish cannot make a quota of a day one of a millisecond.
  first.announce('t/app', [{ quota: QUOTA, tokens: 50, perMs: 1, burst: 50 }]);
  // Its registry says the same later: that is no news.
  behind.registry.change(mesh('20/d'), 't/app');
  await there.ask({ items: [item(0)] });
  assert.equal(there.replies.filter(({ type }) => type === 'changed').length, 1);
});

test('of two quotas whose numbers are told one after the other, both hold where the registry is behind', async (context) => {
  const [first, second] = sharedStore();
  const { sidecar, registry } = await running(context, second);
  const window = 't/app#sliding-window:86400000:';
  registry.change(mesh('100/d; window 90/d'), 't/app');
  const stream = drawing(await sidecar('t/app'));
  await stream.ask({ items: [item(0)] });
  first.announce('t/app', [{ quota: QUOTA, tokens: 10, perMs: 86_400_000, burst: 10 }]);
  first.announce('t/app', [{ quota: window, tokens: 5, perMs: 86_400_000, burst: 5 }]);
  await until('the news', () => stream.replies.filter(({ type }) => type === 'changed').length === 2);
  assert.deepEqual(grantedOf(await stream.ask({ items: [item(100), item(100, 0, window)] })), [10, 5]);
});

import assert from 'node:assert/strict';
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { type TestContext, test } from 'node:test';
import type { ClientMessage, ServerMessage } from '../../protocol/control-messages.ts';
import { until } from '../../test/fixture/wait.ts';
import { MemoryRegistry } from '../registry/memory-registry.fixture.ts';
import { type Answer, rawSidecar } from './raw-sidecar.fixture.ts';
import { ResourceStream } from './resource-stream.ts';

interface Connected {
  readonly registry: MemoryRegistry;
  readonly answer: Answer;
  /** The side that is tested. */
  readonly served: ServerHttp2Stream;
  readonly resources: ResourceStream;
  readonly logged: string[];
  /** What came, without the first welcome. */
  readonly told: ServerMessage[];
  send(...messages: (ClientMessage | string)[]): void;
  /** Waits until all that was sent so far was taken: for the word about a service that is not there. */
  taken(): Promise<void>;
}

const ENOUGH = { take: () => true, giveBack() {} };
const service = (name: string, port = 80, annotations: Record<string, string> = {}) => ({
  name,
  namespace: 't',
  port,
  annotations,
});
const mesh = (...services: object[]) => ({ services });

function subscribe(...resources: (string | { key: string; version: string })[]): ClientMessage {
  return {
    type: 'subscribe',
    resources: resources.map((one) => ({
      kind: 'service',
      ...(typeof one === 'string' ? { key: one } : one),
    })),
  };
}

const unsubscribe = (key: string): ClientMessage => ({
  type: 'unsubscribe',
  resources: [{ kind: 'service', key }],
});

/** A stream without TLS, of which both ends are seen. */
async function connected(context: TestContext, first: object): Promise<Connected> {
  const registry = new MemoryRegistry(first);
  const logged: string[] = [];
  const write = (details: object, message: string) =>
    void logged.push(JSON.stringify({ ...details, message }));
  const log = { debug: write, info: write, warn: write, error: write };
  const server = createServer();
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  const accepted = new Promise<{ served: ServerHttp2Stream; resources: ResourceStream }>((resolve) => {
    server.on('stream', (served: ServerHttp2Stream) => {
      served.on('error', () => {});
      const resources = new ResourceStream(served, registry, 't/web', ENOUGH, log);
      registry.onChange((changes) => resources.onChanges(changes));
      resolve({ served, resources });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  const client = rawSidecar(
    `http://127.0.0.1:${bound !== null && typeof bound === 'object' ? bound.port : 0}`,
  );
  context.after(() => {
    client.session.destroy();
    for (const session of sessions) session.destroy();
    server.close();
  });
  const answer = client.call('/v1/resources');
  const { served, resources } = await accepted;
  await until('welcome', () => answer.messages.length > 0);
  assert.deepEqual(answer.messages.shift(), {
    type: 'welcome',
    version: 1,
    trustDomain: 'mesh.local',
    server: `${process.pid}`,
  });
  const send = (...messages: (ClientMessage | string)[]): void => {
    for (const message of messages)
      answer.stream.write(typeof message === 'string' ? message : `${JSON.stringify(message)}\n`);
  };
  let asked = 0;
  return {
    registry,
    answer,
    served,
    resources,
    logged,
    told: answer.messages,
    send,
    async taken() {
      const key = `t/asked-${++asked}`;
      send(subscribe(key));
      const word = () => answer.messages.findIndex((message) => 'key' in message && message.key === key);
      await until(`the word about ${key}`, () => word() >= 0);
      answer.messages.splice(word(), 1);
    },
  };
}

/** In short what was told. */
const inShort = (messages: readonly ServerMessage[]) =>
  messages.map((message) => {
    if (message.type !== 'resource')
      return 'key' in message ? `${message.type} ${message.key}` : message.type;
    const { resource } = message;
    return `${resource.key} ${resource.kind === 'service' ? resource.service.port : ''}`.trim();
  });

const portOf = (words: string) => Number(words.split(' ')[1]);

const lastWord = ({ told }: Connected): ServerMessage | undefined => told.at(-1);

/** The stream was ended by the server, for a reason that is told and logged. */
async function refused(stream: Connected, reason: RegExp): Promise<void> {
  await until('the end of the stream', () => stream.answer.closed);
  const word = lastWord(stream);
  assert.equal(word?.type, 'bye');
  assert.match(word?.type === 'bye' ? word.reason : '', reason);
  assert.equal(stream.logged.filter((line) => line.includes('a stream was ended')).length, 1);
}

test('who subscribes gets the state there is, then each change, and of what is not there that it is absent', async (context) => {
  const stream = await connected(context, mesh(service('a'), service('b')));
  stream.send(subscribe('t/a', 't/none'));
  await until('the first words', () => stream.told.length === 2);
  assert.deepEqual(inShort(stream.told).sort(), ['absent t/none', 't/a 80']);
  const first = stream.told.find((message) => message.type === 'resource');
  assert.deepEqual(first?.resource, stream.registry.get('service', 't/a'));

  stream.registry.change(mesh(service('a', 81), service('b', 81), service('none')), 't/a', 't/b', 't/none');
  await until('the changes', () => stream.told.length === 4);
  assert.deepEqual(inShort(stream.told.slice(2)).sort(), ['t/a 81', 't/none 80'], 'nothing of t/b');

  stream.registry.change(mesh(), 't/a', 't/b', 't/none');
  await until('the removals', () => stream.told.length === 6);
  assert.deepEqual(inShort(stream.told.slice(4)).sort(), ['absent t/a', 'absent t/none']);
});

test('a Gateway is told to who subscribes to it, and is not a service of that name', async (context) => {
  const stream = await connected(context, {
    services: [service('edge')],
    gateway: [
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'Gateway',
        metadata: { name: 'edge', namespace: 't' },
        spec: { listeners: [{ name: 'h', port: 80, protocol: 'HTTP' }] },
      },
    ],
  });
  stream.send({ type: 'subscribe', resources: [{ kind: 'gateway', key: 't/edge' }] });
  await until('the word', () => stream.told.length === 1);
  const [word] = stream.told;
  assert.equal(word?.type === 'resource' ? word.resource.kind : word?.type, 'gateway');
});

test('after unsubscribing nothing more is told of it', async (context) => {
  const stream = await connected(context, mesh(service('a'), service('b')));
  stream.send(subscribe('t/a', 't/b'), unsubscribe('t/a'));
  await stream.taken();
  const before = stream.told.length;
  stream.registry.change(mesh(service('a', 81), service('b', 81)), 't/a', 't/b');
  await stream.taken();
  assert.deepEqual(inShort(stream.told.slice(before)), ['t/b 81']);
});

test('what is subscribed is followed once, until it is unsubscribed or the stream is gone', async (context) => {
  const stream = await connected(context, mesh(service('a')));
  const { followed } = stream.registry;
  stream.send(subscribe('t/a', 't/none'), subscribe('t/a'));
  await until('the words', () => stream.told.length === 3);
  assert.deepEqual(followed, ['service t/a', 'service t/none']);
  stream.send(unsubscribe('t/a'), unsubscribe('t/a'), unsubscribe('t/never'));
  await stream.taken();
  assert.deepEqual(followed, ['service t/none', 'service t/asked-1']);
  stream.answer.stream.close();
  await until('the end', () => followed.length === 0);
});

test('a change that makes no difference for this sidecar is not told', async (context) => {
  const stream = await connected(context, mesh(service('a'), service('b')));
  stream.send(subscribe('t/a', 't/none', 't/b'));
  await until('the words', () => stream.told.length === 3);
  stream.registry.change(mesh(service('a'), service('b', 81)), 't/a', 't/none', 't/b');
  await stream.taken();
  assert.deepEqual(inShort(stream.told.slice(3)), ['t/b 81']);
});

test('who resumes with the version there is hears that it is unchanged, with another one the new state', async (context) => {
  const stream = await connected(context, mesh(service('a'), service('b')));
  const version = stream.registry.get('service', 't/a')?.version ?? '';
  stream.send(
    subscribe({ key: 't/a', version }, { key: 't/b', version: 'older' }, { key: 't/gone', version: 'older' }),
  );
  await until('the words', () => stream.told.length === 3);
  assert.deepEqual(inShort(stream.told), ['unchanged t/a', 't/b 80', 'absent t/gone']);
  assert.deepEqual(stream.told[0], { type: 'unchanged', kind: 'service', key: 't/a', version });
  stream.registry.change(mesh(service('a', 81), service('b')), 't/a');
  await until('the change', () => stream.told.length === 4);
  assert.equal(inShort(stream.told)[3], 't/a 81', 'the unchanged one is followed');
});

test('lines that come in pieces, and several at once, are understood; hello says who it is', async (context) => {
  const stream = await connected(context, mesh(service('a')));
  const hello = { type: 'hello', version: 1, node: { id: 'n1', workload: 't/web', version: '1' } };
  const text = `${JSON.stringify(hello)}\n${JSON.stringify(subscribe('t/a'))}\n`;
  for (const character of text) stream.send(character);
  await until('the word', () => stream.told.length === 1);
  assert.deepEqual(inShort(stream.told), ['t/a 80']);
  assert.ok(stream.logged.some((line) => line.includes('"peer":"t/web"') && line.includes('"node":"n1"')));
});

test('what is no message ends the stream with the reason, and what follows it is not looked at', async (context) => {
  const cases: [string, RegExp][] = [
    ['garbage', /^a line is not JSON$/],
    ['', /^a line is not JSON$/],
    ['7', /^a message is not understood/],
    ['null', /^a message is not understood/],
    ['{"type":"resources"}', /^a message is not understood/],
    ['{"type":"subscribe"}', /^a message is not understood/],
    [
      '{"type":"subscribe","resources":[{"kind":"service","key":"../etc/passwd"}]}',
      /^a message is not underst/,
    ],
    ['{"type":"subscribe","resources":[{"kind":"no kind","key":"t/a"}]}', /^a message is not understood/],
    ['{"type":"subscribe","resources":[{"kind":"quota","key":"t a"}]}', /^a message is not understood/],
  ];
  for (const [line, reason] of cases) {
    const stream = await connected(context, mesh(service('a')));
    stream.send(`${line}\n${line}\n${JSON.stringify(subscribe('t/a'))}\n${line}\n`);
    await refused(stream, reason);
    assert.deepEqual(inShort(stream.told), ['bye'], line);
  }
});

test('a newer sidecar hears that kinds which this version does not know are absent, and its stream goes on', async (context) => {
  const stream = await connected(context, mesh(service('a')));
  const resources = [
    { kind: 'quota', key: 'spiffe://mesh.local/ns/t?window=1s' },
    { kind: 'service', key: 't/a' },
    { kind: 'constructor', key: 't/a' },
  ];
  stream.send({ type: 'subscribe', resources });
  await until('the words', () => stream.told.length === 3);
  const [unknown, , other] = resources;
  assert.deepEqual(stream.told[0], { type: 'absent', ...unknown });
  assert.deepEqual(inShort(stream.told)[1], 't/a 80');
  assert.deepEqual(stream.told[2], { type: 'absent', ...other });
  stream.send({ type: 'unsubscribe', resources });
  await stream.taken();
  assert.equal(stream.answer.closed, false);
});

test('a file has no addresses and no workloads: a Gateway of that name is not told as one', async (context) => {
  const stream = await connected(context, {
    services: [],
    gateway: [
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'Gateway',
        metadata: { name: 'edge', namespace: 't' },
        spec: { listeners: [{ name: 'h', port: 80, protocol: 'HTTP' }] },
      },
    ],
  });
  stream.send({ type: 'subscribe', resources: [{ kind: 'workload', key: 't/edge' }] });
  await until('the word', () => stream.told.length === 1);
  assert.deepEqual(stream.told, [{ type: 'absent', kind: 'workload', key: 't/edge' }]);
});

test('a sidecar that is told bye and stays is let go', async (context) => {
  const stream = await connected(context, mesh());
  context.mock.timers.enable({ apis: ['setTimeout'] });
  stream.resources.bye('go');
  context.mock.timers.tick(5_000);
  context.mock.timers.reset();
  await until('the end', () => stream.answer.closed);
});

test('an attacker who sends a line without end is told so and let go', async (context) => {
  const stream = await connected(context, mesh());
  const part = 'x'.repeat(256 * 1024);
  for (let i = 0; i < 17; i++) stream.send(part);
  await refused(stream, /^a line is longer than 4194304 bytes$/);
});

test('an attacker who subscribes without end is told so and let go', async (context) => {
  const stream = await connected(context, mesh());
  for (let part = 0; part < 3; part++)
    stream.send(subscribe(...Array.from({ length: 7000 }, (_, index) => `t/s${part}-${index}`)));
  await refused(stream, /^more than 20000 subscriptions$/);
});

test('a slow reader gets the newest state of each resource, and what waits for it does not grow', async (context) => {
  const stream = await connected(context, mesh(service('a'), service('b')));
  stream.send(subscribe('t/a', 't/b'));
  await until('the first words', () => stream.told.length === 2);
  stream.answer.stream.pause();
  const note = 'x'.repeat(50_000);
  const large = (port: number) => mesh(service('a', port, { note }), service('b', port, { note }));
  let most = 0;
  for (let port = 1000; port < 1400; port++) {
    stream.registry.change(large(port), 't/a', 't/b');
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, stream.served.writableLength);
  }
  // 40 MB were there to tell. One message may be written before the stream says that it is full.
  assert.ok(most < 500_000, `${most} bytes waited`);
  stream.answer.stream.resume();
  await until('the newest state of both', () =>
    ['t/a 1399', 't/b 1399'].every((words) => inShort(stream.told).includes(words)),
  );
  await stream.taken();
  assert.ok(stream.told.length < 40, `${stream.told.length} messages`);
  for (const key of ['t/a', 't/b']) {
    const ports = inShort(stream.told).filter((words) => words.startsWith(key));
    assert.deepEqual(
      ports,
      [...ports].sort((one, other) => portOf(one) - portOf(other)),
      'never an older state after a newer one',
    );
    assert.equal(ports.at(-1), `${key} 1399`);
  }
});

test('an attacker who asks again and again and does not read cannot fill the memory', async (context) => {
  const names = Array.from({ length: 1000 }, (_, index) => `s${index}`);
  const stream = await connected(context, mesh(...names.map((name) => service(name))));
  stream.answer.stream.pause();
  const known = names.map((name) => {
    const key = `t/${name}`;
    return { key, version: stream.registry.get('service', key)?.version ?? '' };
  });
  const asked = subscribe(...known);
  const sent = 200;
  for (let i = 0; i < sent; i++) stream.send(asked);
  const hello = { type: 'hello', version: 1, node: { id: 'last', workload: 't/web', version: '1' } };
  stream.send(`${JSON.stringify(hello)}\n`);
  await until('all was read', () => stream.logged.some((line) => line.includes('"node":"last"')));
  // Answered at once, it would be 16 MB.
  assert.ok(stream.served.writableLength < 200_000, `${stream.served.writableLength} bytes wait`);
  stream.answer.stream.resume();
  await until('an answer to each', () => new Set(inShort(stream.told)).size === names.length);
  assert.ok(inShort(stream.told).every((words) => words.startsWith('unchanged ')));
});

test('what was unsubscribed while the reader was slow is not told any more', async (context) => {
  const stream = await connected(
    context,
    mesh(service('a', 80, { note: 'x'.repeat(200_000) }), service('b')),
  );
  stream.answer.stream.pause();
  stream.send(subscribe('t/a'), subscribe('t/b'), unsubscribe('t/b'));
  const hello = { type: 'hello', version: 1, node: { id: 'last', workload: 't/web', version: '1' } };
  stream.send(`${JSON.stringify(hello)}\n`);
  await until('all was read', () => stream.logged.some((line) => line.includes('"node":"last"')));
  stream.answer.stream.resume();
  await stream.taken();
  assert.deepEqual(inShort(stream.told), ['t/a 80']);
});

test('bye is the last word: later changes are not told, and a second bye neither', async (context) => {
  const stream = await connected(context, mesh(service('a')));
  stream.send(subscribe('t/a'));
  await until('the first word', () => stream.told.length === 1);
  stream.resources.bye('go');
  stream.registry.change(mesh(service('a', 81)), 't/a');
  stream.resources.bye('go again');
  await until('the end', () => stream.answer.ended);
  assert.deepEqual(stream.told.slice(1), [{ type: 'bye', reason: 'go' }]);
});

test('the stream ends when the sidecar ends it', async (context) => {
  const stream = await connected(context, mesh(service('a')));
  stream.answer.stream.end(`${JSON.stringify(subscribe('t/a'))}\n`);
  await until('the end', () => stream.answer.closed);
  assert.deepEqual(inShort(stream.told), ['t/a 80']);
});

test('a tenant whose Service is larger than sidecars read does not keep news of others from those who call it', async (context) => {
  const { registry, told, send, logged } = await connected(context, mesh(service('a')));
  const own = registry.get.bind(registry);
  let padding = 5 * 1024 * 1024;
  registry.get = (kind, key) => {
    const found = own(kind, 't/a');
    if (key !== 't/big' || found === undefined) return own(kind, key);
    const padded = { ...found, key, version: `${padding}`, pad: 'x'.repeat(padding) };
    return padded as typeof found;
  };
  send(subscribe('t/big', 't/a'));
  await until('both', () => told.length === 2);
  assert.deepEqual(
    told.map((message) => message.type),
    ['absent', 'resource'],
  );
  assert.match(logged.join(), /t\/big.*has more than 4194304 bytes and is not told/);
  padding = 10;
  registry.change(mesh(service('a')), 't/big');
  await until('it once it is smaller', () => told.length === 3);
  padding = 5 * 1024 * 1024;
  registry.change(mesh(service('a', 81)), 't/big', 't/a');
  await until('news of the other', () => told.length === 4);
  assert.deepEqual(
    told.slice(2).map((message) => message.type === 'resource' && message.resource.key),
    ['t/big', 't/a'],
  );
});

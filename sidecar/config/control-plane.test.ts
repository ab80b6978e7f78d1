import assert from 'node:assert/strict';
import { before, type TestContext, test } from 'node:test';
import { clientMessageSchema, type ServerMessage } from '../../protocol/control-messages.ts';
import type { Resource } from '../../protocol/resources.ts';
import { deadAddress } from '../../test/fixture/free-port.ts';
import { until } from '../../test/fixture/wait.ts';
import { type TestAuthority, testAuthority } from '../identity/authority.fixture.ts';
import { type StandIn, standIn, type Told } from '../identity/control-plane.fixture.ts';
import type { Identity, IdentitySource } from '../identity/identity.ts';
import { impostor } from '../identity/impostor.fixture.ts';
import { connectSubscription } from './control-plane.ts';
import type { Subscription } from './subscription.ts';

const WELCOME = { type: 'welcome', version: 1, trustDomain: 'mesh.local', server: '1' } as const;

let authority: TestAuthority;
let identity: Identity;
before(async () => {
  authority = await testAuthority();
  identity = await authority.identity('shop/web');
});

/** An identity that is given when the test says so. */
class Given implements IdentitySource {
  readonly listeners = new Set<(identity: Identity) => void>();
  private given: Identity | undefined;

  constructor(given: Identity | undefined) {
    this.given = given;
  }

  give(next: Identity): void {
    this.given = next;
    for (const listener of this.listeners) listener(next);
  }

  current(): Identity | undefined {
    return this.given;
  }

  onChange(listener: (identity: Identity) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  lastError(): string | undefined {
    return undefined;
  }

  close(): void {}
}

interface Followed {
  readonly subscription: Subscription;
  /** Words in the order that they came. */
  readonly words: string[];
  readonly logged: string[];
  /** Why connections were lost. */
  readonly reasons: string[];
}

function follow(
  context: TestContext,
  controlPlane: readonly string[],
  source: IdentitySource = new Given(identity),
): Followed {
  const logged: string[] = [];
  const reasons: string[] = [];
  const at = (level: string) => (details: object, message: string) => {
    logged.push(`${level} ${message}`);
    if ('reason' in details) reasons.push(String(details.reason));
  };
  const subscription = connectSubscription({
    controlPlane,
    identity: source,
    workload: 'shop/web',
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
  });
  context.after(() => subscription.close());
  const words: string[] = [];
  subscription.onResource(({ kind, key, version }) => words.push(`${kind} ${key} ${version}`));
  subscription.onAbsent((kind, key) => words.push(`absent ${kind} ${key}`));
  return { subscription, words, logged, reasons };
}

/** A resource as far as a subscription looks at it. */
const resource = (key: string, version: string): ServerMessage => ({
  type: 'resource',
  resource: { kind: 'service', key, version } as Resource,
});

const asked = (told: Told | undefined, type: 'subscribe' | 'unsubscribe') =>
  (told?.messages ?? []).flatMap((message) => (message.type === type ? message.resources : []));

async function stream(plane: StandIn, index = 0): Promise<Told> {
  await until('a stream', () => plane.streams.length > index);
  const told = plane.streams[index];
  assert.ok(told);
  return told;
}

test('what is wanted before and after the connection is asked for once, after a hello that says who it is', async (context) => {
  const plane = await standIn(context, authority);
  const { subscription } = follow(context, [plane.address]);
  subscription.want('service', 'shop/a');
  subscription.want('service', 'shop/a');
  const told = await stream(plane);
  await until('the first', () => asked(told, 'subscribe').length === 1);
  subscription.want('gateway', 'shop/edge');
  subscription.want('gateway', 'shop/edge');
  subscription.want('service', 'shop/b');
  await until('the others', () => asked(told, 'subscribe').length === 3);
  const [hello] = told.messages;
  assert.equal(hello?.type === 'hello' && hello.node.workload, 'shop/web');
  assert.deepEqual(asked(told, 'subscribe'), [
    { kind: 'service', key: 'shop/a' },
    { kind: 'gateway', key: 'shop/edge' },
    { kind: 'service', key: 'shop/b' },
  ]);
});

test('states, changes and absences are told; what was not asked for, or dropped, is not', async (context) => {
  const plane = await standIn(context, authority);
  const { subscription, words } = follow(context, [plane.address]);
  for (const key of ['shop/a', 'shop/b', 'shop/c']) subscription.want('service', key);
  const told = await stream(plane);
  await until('the request', () => asked(told, 'subscribe').length === 3);
  told.say(resource('shop/a', '1'), { type: 'absent', kind: 'service', key: 'shop/b' });
  told.say(resource('shop/other', '1'), { type: 'absent', kind: 'service', key: 'shop/other' });
  told.say({ type: 'unchanged', kind: 'service', key: 'shop/a', version: '1' }, resource('shop/a', '2'));
  await until('the words', () => words.length === 3);
  subscription.drop('service', 'shop/a');
  subscription.drop('service', 'shop/a');
  subscription.drop('service', 'shop/never-wanted');
  await until('the drop', () => asked(told, 'unsubscribe').length > 0);
  told.say(
    resource('shop/a', '3'),
    { type: 'absent', kind: 'service', key: 'shop/a' },
    resource('shop/c', '1'),
  );
  await until('the last word', () => words.includes('service shop/c 1'));
  assert.deepEqual(words, [
    'service shop/a 1',
    'absent service shop/b',
    'service shop/a 2',
    'service shop/c 1',
  ]);
  assert.deepEqual(asked(told, 'unsubscribe'), [{ kind: 'service', key: 'shop/a' }]);
});

test('when the control plane goes, the next one is asked with the versions that are known; nothing is told twice', async (context) => {
  const first = await standIn(context, authority);
  const second = await standIn(context, authority);
  const { subscription, words, logged } = follow(context, [first.address, second.address]);
  for (const key of ['shop/a', 'shop/b', 'shop/none', 'shop/silent', 'shop/dropped'])
    subscription.want('service', key);
  const before = await stream(first);
  before.say(resource('shop/a', '1'), resource('shop/b', '1'), resource('shop/dropped', '1'));
  before.say({ type: 'absent', kind: 'service', key: 'shop/none' });
  await until('the words', () => words.length === 4);
  subscription.drop('service', 'shop/dropped');
  first.close();
  const after = await stream(second);
  await until('the request', () => asked(after, 'subscribe').length > 0);
  assert.deepEqual(asked(after, 'subscribe'), [
    { kind: 'service', key: 'shop/a', version: '1' },
    { kind: 'service', key: 'shop/b', version: '1' },
    { kind: 'service', key: 'shop/none' },
    { kind: 'service', key: 'shop/silent' },
  ]);
  const told = words.splice(0).length;
  assert.equal(told, 4, 'the last known state stays: nothing was told of the loss');
  after.say({ type: 'unchanged', kind: 'service', key: 'shop/a', version: '1' }, resource('shop/b', '2'));
  await until('the change', () => words.length > 0);
  assert.deepEqual(words, ['service shop/b 2']);
  assert.deepEqual(subscription.state().endpoint, second.address);
  assert.ok(logged.includes('warn the control plane is away: running on the last known state'));
  const hellos = [before, after].map(({ messages }) => {
    const [hello] = messages;
    return hello?.type === 'hello' ? hello.node.id : '';
  });
  assert.equal(hellos[0], hellos[1], 'it is the same node');
});

test('more resources than a message may have are asked for in several', async (context) => {
  const plane = await standIn(context, authority);
  const { subscription } = follow(context, [plane.address]);
  const keys = Array.from({ length: 10_001 }, (_, index) => `shop/s${index}`);
  for (const key of keys) subscription.want('service', key);
  const told = await stream(plane);
  await until('all of them', () => asked(told, 'subscribe').length === keys.length);
  assert.deepEqual(
    asked(told, 'subscribe').map(({ key }) => key),
    keys,
  );
  for (const message of told.messages) assert.ok(clientMessageSchema.safeParse(message).success);
});

test('state() tells whether it is connected, to whom, and why not', async (context) => {
  const dead = await deadAddress();
  const plane = await standIn(context, authority);
  plane.onResources = () => {};
  const { subscription, reasons } = follow(context, [dead, plane.address]);
  assert.deepEqual([subscription.state().connected, subscription.state().trustDomain], [false, 'unknown']);
  await until('the failure', () => subscription.state().lastError !== undefined);
  assert.match(subscription.state().lastError ?? '', new RegExp(`^${dead}: .*ECONNREFUSED`));
  const told = await stream(plane);
  assert.equal(subscription.state().connected, false, 'not before the welcome');
  told.say(WELCOME);
  await until('the connection', () => subscription.state().connected);
  const { since, ...state } = subscription.state();
  assert.deepEqual(state, { connected: true, trustDomain: 'mesh.local', endpoint: plane.address });
  told.say({ type: 'bye', reason: 'the control plane stops' });
  await until('the loss', () => !subscription.state().connected);
  // The next one may have been tried meanwhile, and be the last error.
  assert.ok(reasons.includes('the control plane stops'), reasons.join());
  assert.ok(subscription.state().since >= since);
});

test('after bye it goes to the next one at once: the stream is ended, not waited for', async (context) => {
  const first = await standIn(context, authority);
  const second = await standIn(context, authority);
  const { subscription } = follow(context, [first.address, second.address]);
  const told = await stream(first);
  told.say({ type: 'bye', reason: 'go' }); // and its own end stays open
  await until('the other', () => second.streams.length > 0);
  await until('the connection', () => subscription.state().connected);
  assert.ok(told.ended);
});

test('a bye is no loss: it is told as what it is, and all that was known stays', async (context) => {
  const first = await standIn(context, authority);
  const second = await standIn(context, authority);
  const { subscription, words, logged } = follow(context, [first.address, second.address]);
  subscription.want('service', 'shop/a');
  const told = await stream(first);
  told.say(resource('shop/a', '1'));
  await until('the word', () => words.length === 1);
  told.say({ type: 'bye', reason: 'connections are spread anew' });
  const next = await stream(second);
  await until('what is known', () => asked(next, 'subscribe').length === 1);
  assert.deepEqual(asked(next, 'subscribe'), [{ kind: 'service', key: 'shop/a', version: '1' }]);
  assert.ok(logged.includes('info the control plane sends elsewhere'));
  assert.ok(!logged.some((line) => line.startsWith('warn')));
});

test('a control plane that lets in and sends away again and again is asked later each time', async (context) => {
  const plane = await standIn(context, authority);
  const waits: number[] = [];
  const { setTimeout: real } = globalThis;
  context.mock.method(Math, 'random', () => 0.1);
  context.mock.method(globalThis, 'setTimeout', (run: () => void, ms: number) => {
    if (ms >= 10 && run.toString().includes('connect')) waits.push(ms);
    return real(run, ms);
  });
  plane.onResources = ({ say }) => say(WELCOME, { type: 'bye', reason: 'a message is not understood' });
  follow(context, [plane.address]);
  await until('some rounds', () => plane.streams.length > 4);
  assert.deepEqual(waits.slice(0, 4), [10, 20, 40, 80]);
});

test('without a certificate nobody is asked; the first one starts the connection', async (context) => {
  const plane = await standIn(context, authority);
  const source = new Given(undefined);
  const { subscription } = follow(context, [plane.address], source);
  subscription.want('service', 'shop/a');
  assert.equal(subscription.state().endpoint, undefined);
  source.give(identity);
  const told = await stream(plane);
  await until('the request', () => asked(told, 'subscribe').length === 1);
  await until('the connection', () => subscription.state().connected);
  // A renewal does not disturb a connection.
  source.give(await authority.identity('shop/web'));
  told.say(resource('shop/a', '1'));
  subscription.want('service', 'shop/b');
  await until('the second request', () => asked(told, 'subscribe').length === 2);
  assert.equal(plane.streams.length, 1);
});

test('a new certificate says that a control plane is back: it is asked at once, however long it was away', async (context) => {
  context.mock.method(Math, 'random', () => 1e6); // it would wait for a day
  const dead = await deadAddress();
  const addresses = [dead];
  const source = new Given(identity);
  const { subscription } = follow(context, addresses, source);
  await until('the failure', () => subscription.state().lastError !== undefined);
  const plane = await standIn(context, authority);
  addresses.splice(0, 1, plane.address);
  source.give(await authority.identity('shop/web'));
  await stream(plane);
});

test('a refusal of the stream is told with its status', async (context) => {
  const plane = await standIn(context, authority);
  plane.onResources = ({ stream: refused }) => {
    refused.respond({ ':status': 403 });
    refused.end();
  };
  const { subscription } = follow(context, [plane.address]);
  await until('the refusal', () => subscription.state().lastError !== undefined);
  assert.equal(subscription.state().lastError, 'the control plane refused the stream with status 403');
  await until('another attempt', () => plane.streams.length > 1);
  assert.equal(subscription.state().connected, false);
});

test('a message that cannot be used is told and does not harm those after it; an unknown one is passed over', async (context) => {
  const plane = await standIn(context, authority);
  const { subscription, words, logged } = follow(context, [plane.address]);
  subscription.want('service', 'shop/a');
  const told = await stream(plane);
  told.say('garbage\n', '{"type":"resource"}\n', '{"type":"from-the-future"}\n', resource('shop/a', '1'));
  await until('the word', () => words.length > 0);
  assert.match(subscription.state().lastError ?? '', /^a message of the control plane could not be used: /);
  assert.equal(logged.filter((line) => line.startsWith('error ')).length, 2);
  assert.equal(subscription.state().connected, true);
});

test('an attacker at the address who is not the control plane is told nothing and not believed', async (context) => {
  const { keyPem, chainPem } = await authority.issue('shop/thief');
  const thief = await impostor(context, { key: keyPem, cert: chainPem });
  const { subscription } = follow(context, [thief.address]);
  subscription.want('service', 'shop/secret');
  await until('two attempts', () => thief.over >= 2);
  assert.equal(thief.received, '');
  assert.match(subscription.state().lastError ?? '', /who answers is not the control plane/);
  assert.equal(subscription.state().connected, false);
});

test('after close() there is no connection, no further attempt and no listener', async (context) => {
  const plane = await standIn(context, authority);
  const source = new Given(identity);
  const { subscription } = follow(context, [plane.address], source);
  const told = await stream(plane);
  await until('the connection', () => subscription.state().connected);
  subscription.close();
  await until('the end', () => told.stream.destroyed && !subscription.state().connected);
  assert.equal(source.listeners.size, 0);
  subscription.want('service', 'shop/late');
  const witness = follow(context, [plane.address]);
  await until('another connection', () => witness.subscription.state().connected);
  assert.equal(plane.streams.length, 2);
});

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDir, writeMesh } from '../../test/fixture/relay.ts';
import { until } from '../../test/fixture/wait.ts';
import { openStandalone } from './standalone.ts';
import type { Subscription } from './subscription.ts';

interface Followed {
  readonly file: string;
  readonly subscription: Subscription;
  readonly words: string[];
  readonly logged: string[];
}

/** `mesh` undefined: there is no file. */
function follow(context: TestContext, mesh: object | string | undefined): Followed {
  const file = join(temporaryDir(context), 'mesh.yaml');
  if (mesh !== undefined) writeMesh(file, mesh);
  const logged: string[] = [];
  const at = (level: string) => (_details: object, message: string) =>
    void logged.push(`${level} ${message}`);
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const subscription = openStandalone(file, log);
  context.after(() => subscription.close());
  const words: string[] = [];
  subscription.onResource((resource) =>
    words.push(`${resource.key} ${resource.kind === 'service' ? resource.service.port : resource.kind}`),
  );
  subscription.onAbsent((_kind, key) => words.push(`absent ${key}`));
  return { file, subscription, words, logged };
}

const service = (name: string, port = 80) => ({ name, namespace: 't', port });
const edge = {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'edge', namespace: 't' },
  spec: { listeners: [{ name: 'h', port: 80, protocol: 'HTTP' }] },
};

test('what is wanted before the file is read is told after; what is wanted later at once, but not within the call', async (context) => {
  const { file, subscription, words } = follow(context, {
    services: [service('a'), service('b')],
    gateway: [edge],
  });
  for (const key of ['t/a', 't/none', 't/a']) subscription.want('service', key);
  subscription.want('gateway', 't/edge');
  assert.equal(subscription.state().connected, false);
  assert.deepEqual(words, []);
  await subscription.ready;
  assert.deepEqual(words, ['t/a 80', 'absent t/none', 't/edge gateway']);
  const { since, ...state } = subscription.state();
  assert.deepEqual(state, { connected: true, trustDomain: 'mesh.local', endpoint: file });
  assert.ok(since <= Date.now());
  assert.deepEqual(subscription.gateways?.(), ['t/edge']);
  subscription.want('service', 't/b');
  assert.equal(words.length, 3);
  await until('the word', () => words.length === 4);
  assert.equal(words[3], 't/b 80');
});

test('a file that is not there, or cannot be used, is refused with its name and problem', async (context) => {
  const missing = follow(context, undefined);
  await assert.rejects(missing.subscription.ready ?? Promise.resolve(), {
    code: 'ERR_TULLE_MESH_FILE',
    message: `${missing.file} cannot be used:\n  ${missing.file}: cannot be read: ENOENT`,
  });
  const wrong = follow(context, 'services: 7\n');
  await assert.rejects(
    wrong.subscription.ready ?? Promise.resolve(),
    (error: Error & { code?: string }) =>
      error.code === 'ERR_TULLE_MESH_FILE' &&
      error.message.startsWith(`${wrong.file} cannot be used:\n  ${wrong.file}:1:11 services: 7 `),
  );
  const broken = follow(context, 'services: [\n');
  await assert.rejects(
    broken.subscription.ready ?? Promise.resolve(),
    /mesh\.yaml:\d+:\d+: this is not YAML/,
  );
  assert.equal(broken.subscription.state().connected, false);
});

test('a problem that leaves something to run on is logged', async (context) => {
  const { subscription, logged } = follow(context, {
    services: [{ ...service('a'), annotations: { 'tulle.dev/retries': 'many' } }],
  });
  await subscription.ready;
  assert.equal(logged.length, 1);
  assert.match(logged[0] ?? '', /^warn .*mesh\.yaml:.*tulle\.dev\/retries.*many/);
});

test('an edit is told to who wants what differs: changed, removed and new, and nothing else', async (context) => {
  const { file, subscription, words } = follow(context, {
    services: [service('same'), service('changed'), service('removed'), service('dropped')],
  });
  for (const name of ['same', 'changed', 'removed', 'new', 'dropped'])
    subscription.want('service', `t/${name}`);
  await subscription.ready;
  assert.equal(words.splice(0).length, 5);
  subscription.drop('service', 't/dropped');
  writeMesh(file, {
    services: [service('same'), service('changed', 81), service('new'), service('dropped', 81), service('x')],
  });
  await until('the words', () => words.length === 3);
  assert.deepEqual(words.sort(), ['absent t/removed', 't/changed 81', 't/new 80']);
});

test('a broken edit keeps the last good state, and is told until it is mended', async (context) => {
  const { file, subscription, words, logged } = follow(context, { services: [service('a')] });
  subscription.want('service', 't/a');
  await subscription.ready;
  writeMesh(file, 'services: 7\n');
  await until('the broken edit', () => subscription.state().lastError !== undefined);
  assert.match(subscription.state().lastError ?? '', /mesh\.yaml:1:11 services: 7 /);
  assert.equal(subscription.state().connected, true);
  assert.ok(logged.includes('error the edited file cannot be used: the last good one stays in force'));
  subscription.want('service', 't/b');
  writeMesh(file, { services: [service('a', 81)] });
  await until('the mended file', () => subscription.state().lastError === undefined);
  assert.deepEqual(words, ['t/a 80', 'absent t/b', 't/a 81']);
});

test('a mesh larger than a pipe is read whole', async (context) => {
  const note = 'x'.repeat(1000);
  const { subscription, words } = follow(context, {
    services: Array.from({ length: 400 }, (_, index) => ({
      ...service(`s${index}`),
      annotations: { note },
    })),
  });
  subscription.want('service', 't/s399');
  await subscription.ready;
  assert.deepEqual(words, ['t/s399 80']);
});

test('a closed subscription tells nothing more, not of a reading that was under way either', async (context) => {
  const { subscription, words } = follow(context, { services: [service('a')] });
  subscription.want('service', 't/a');
  subscription.close();
  await subscription.ready;
  assert.deepEqual(words, []);
});

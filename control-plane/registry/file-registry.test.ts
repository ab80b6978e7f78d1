import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDir, writeMesh } from '../../test/fixture/relay.ts';
import { until } from '../../test/fixture/wait.ts';
import { openFileRegistry } from './file-registry.ts';
import type { Change, Registry } from './registry.ts';

interface Followed {
  readonly file: string;
  readonly registry: Registry;
  /** Each time something was told. */
  readonly told: (readonly Change[])[];
  /** Messages of the log, with their level. */
  readonly logged: string[];
}

function follow(context: TestContext, mesh: object): Followed {
  const file = join(temporaryDir(context), 'mesh.yaml');
  writeMesh(file, mesh);
  const logged: string[] = [];
  const at = (level: string) => (_details: object, message: string) =>
    void logged.push(`${level} ${message}`);
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const registry = openFileRegistry(file, log);
  context.after(() => registry.close());
  const told: (readonly Change[])[] = [];
  registry.onChange((changes) => told.push(changes));
  return { file, registry, told, logged };
}

const service = (name: string, port = 80) => ({ name, namespace: 't', port });
const edge = (port: number) => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'Gateway',
  metadata: { name: 'edge', namespace: 't' },
  spec: { listeners: [{ name: 'h', port, protocol: 'HTTP' }] },
});

test('services and gateways of the file are there by their key, and no others', (context) => {
  const { registry } = follow(context, { services: [service('a')], gateway: [edge(80)] });
  assert.equal(registry.get('service', 't/a')?.kind, 'service');
  assert.equal(registry.get('gateway', 't/edge')?.kind, 'gateway');
  assert.equal(registry.get('gateway', 't/a'), undefined);
  assert.equal(registry.get('service', 't/b'), undefined);
  assert.deepEqual(registry.state(), { problems: [], current: true });
});

test('an edit is followed, and only what differs is told: changed, added and removed', async (context) => {
  const { file, registry, told } = follow(context, {
    services: [service('same'), service('changed'), service('removed')],
    gateway: [edge(80)],
  });
  const same = registry.get('service', 't/same')?.version;
  const changed = registry.get('service', 't/changed')?.version;
  writeMesh(file, {
    services: [service('added'), service('changed', 81), service('same')],
    gateway: [edge(81)],
  });
  await until('the edit', () => told.length > 0);
  assert.deepEqual(
    told.map((changes) => changes.map(({ kind, key }) => `${kind} ${key}`).sort()),
    [['gateway t/edge', 'service t/added', 'service t/changed', 'service t/removed']],
  );
  assert.equal(registry.get('service', 't/same')?.version, same);
  assert.notEqual(registry.get('service', 't/changed')?.version, changed);
  assert.equal(registry.get('service', 't/removed'), undefined);
});

test('an edit that changes no meaning tells nobody', async (context) => {
  const { file, told, logged } = follow(context, { services: [service('a')] });
  writeFileSync(file, '# the same in other words\nservices: [{port: 80, namespace: t, name: a}]\n');
  await until('the edit', () => logged.includes('info the edited file is in force'));
  assert.deepEqual(told, []);
});

test('a broken edit keeps the last good state in force and says so, until it is mended', async (context) => {
  const { file, registry, told, logged } = follow(context, { services: [service('a')] });
  const before = registry.get('service', 't/a');
  writeMesh(file, 'services: [{name: a, namespace: t, port: 80}\n');
  await until('the broken edit', () => !registry.state().current);
  assert.equal(registry.get('service', 't/a'), before);
  const [problem = ''] = registry.state().problems;
  assert.ok(problem.startsWith(`${file}:`) && problem.includes('this is not YAML'), problem);
  assert.ok(logged.includes('error the edited file cannot be used: the last good one stays in force'));
  assert.ok(logged.some((line) => line.startsWith('warn ') && line.includes('is not YAML')));
  assert.deepEqual(told, []);
  writeMesh(file, { services: [service('a', 81)] });
  await until('the mended file', () => registry.state().current);
  assert.deepEqual(registry.state().problems, []);
  assert.deepEqual(told, [[{ kind: 'service', key: 't/a' }]]);
});

test('a file that goes away keeps the last good state in force', async (context) => {
  const { file, registry, told } = follow(context, { services: [service('a')] });
  rmSync(file);
  writeMesh(file, { services: [service('a'), service('b')] });
  await until('the file that came back', () => told.length > 0);
  assert.deepEqual(told, [[{ kind: 'service', key: 't/b' }]]);
  assert.ok(registry.get('service', 't/a'));
});

test('another trust domain is refused while running: certificates of the old one are out there', async (context) => {
  const { file, registry, told, logged } = follow(context, {
    trustDomain: 'one.test',
    services: [service('a')],
  });
  writeMesh(file, { trustDomain: 'two.test', services: [service('b')] });
  await until('the edit', () => !registry.state().current);
  assert.equal(registry.trustDomain, 'one.test');
  assert.ok(registry.get('service', 't/a'));
  assert.equal(registry.get('service', 't/b'), undefined);
  assert.deepEqual(told, []);
  assert.ok(
    logged.includes(
      'error trustDomain cannot change while running (one.test to two.test): the last good file stays in force',
    ),
  );
});

test('a file that cannot be used at the start is refused with its name and its problem', (context) => {
  const dir = temporaryDir(context);
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  assert.throws(() => openFileRegistry(join(dir, 'none.yaml'), log), {
    code: 'ERR_TULLE_MESH_FILE',
    message: `${join(dir, 'none.yaml')} cannot be read: ENOENT`,
  });
  assert.throws(() => openFileRegistry(dir, log), { message: `${dir} cannot be read: EISDIR` });
  const file = join(dir, 'mesh.yaml');
  writeMesh(file, 'services: 7');
  assert.throws(
    () => openFileRegistry(file, log),
    (error: Error & { code?: string }) =>
      error.code === 'ERR_TULLE_MESH_FILE' &&
      error.message.startsWith(`${file} cannot be used:\n  ${file}:1:11 services: 7 `),
  );
});

test('problems that leave something to run on are told at the start too', (context) => {
  const { registry, logged } = follow(context, {
    services: [{ ...service('a'), annotations: { 'tulle.dev/retries': 'many' } }],
  });
  assert.equal(registry.state().current, true);
  assert.match(registry.state().problems.join(), /tulle\.dev\/retries.*many/);
  assert.deepEqual(
    logged.map((line) => line.slice(0, 5)),
    ['warn '],
  );
  assert.ok(registry.get('service', 't/a'));
});

test('a closed registry follows no edits and keeps no timer', async (context) => {
  const { file, registry, told } = follow(context, { services: [service('a')] });
  const witness = openFileRegistry(file, { debug() {}, info() {}, warn() {}, error() {} });
  context.after(() => witness.close());
  registry.close();
  writeMesh(file, { services: [service('b')] });
  await until('the edit at another registry', () => witness.get('service', 't/b') !== undefined);
  assert.ok(registry.get('service', 't/a'));
  assert.deepEqual(told, []);
});

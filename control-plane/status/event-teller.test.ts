import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '../../test/fixture/wait.ts';
import { openApiServer } from '../kubernetes/api-server.ts';
import { type FakeApiServer, fakeApiServer } from '../kubernetes/fake-api-server.fixture.ts';
import {
  document,
  namespace,
  service,
  TestCluster,
  toService,
} from '../registry/kubernetes/cluster.fixture.ts';
import { gateway, listener, OUR_CLASS, routeTo } from '../registry/kubernetes/gateway.fixture.ts';
import { type EventTeller, tellByEvents } from './event-teller.ts';

const WRONG = { annotations: { 'tulle.dev/retries': 'many' } };

interface Told {
  readonly fake: FakeApiServer;
  readonly mesh: TestCluster;
  readonly teller: EventTeller;
}

async function told(context: TestContext, burst = 50, fake?: FakeApiServer): Promise<Told> {
  const server = fake ?? (await fakeApiServer(context));
  const api = openApiServer(server.kubeConfig);
  const mesh = new TestCluster();
  const teller = tellByEvents({
    api,
    mayWrite: () => true,
    problems: () => mesh.objects.problems(),
    inScope: (name) => name !== 'elsewhere',
    log: { debug() {}, info() {}, warn() {}, error() {} },
    burst,
  });
  context.after(() => {
    teller.close();
    api.close();
  });
  return { fake: server, mesh, teller };
}

interface Event {
  readonly metadata: { readonly namespace?: string };
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly kind: string; readonly name: string; readonly uid: string };
}

const events = ({ fake }: Told) => [...fake.objects.values()] as unknown as Event[]; // nothing else is put

test('an Event at the object says field, value and what was meant', async (context) => {
  const mesh = await told(context);
  mesh.mesh.put(service('shop/web', {}, WRONG), namespace('front', WRONG));
  mesh.mesh.put(document('HTTPRoute', 'shop/r', { parentRefs: [toService('none')], rules: [{}] }));
  mesh.teller.look();
  await until('three Events', () => events(mesh).length === 3);
  const byKind = Object.fromEntries(events(mesh).map((event) => [event.regarding.kind, event]));
  assert.equal(byKind.Service?.reason, 'InvalidAnnotation');
  assert.match(byKind.Service?.note ?? '', /^annotations\.tulle\.dev\/retries: "many" is not.*; write/);
  assert.deepEqual(
    [byKind.Service?.regarding.uid, byKind.Service?.metadata.namespace],
    ['uid-shop/web', 'shop'],
  );
  assert.equal(byKind.Namespace?.metadata.namespace, 'default');
  assert.equal(byKind.HTTPRoute?.reason, 'NoMatchingParent');
});

test('the same problem is told once, however often it is looked at, also by the next leader', async (context) => {
  const first = await told(context);
  first.mesh.put(service('shop/web', {}, WRONG));
  for (let turn = 0; turn < 5; turn++) first.teller.look();
  await until('an Event', () => events(first).length === 1);
  first.teller.close();
  const next = await told(context, 50, first.fake);
  next.mesh.put(service('shop/web', {}, WRONG));
  next.teller.look();
  await until('the answer', () => first.fake.calls.length === 2);
  next.mesh.put(service('shop/other', {}, WRONG));
  next.teller.look();
  await until('another', () => events(first).length === 2);
  assert.equal(first.fake.calls.length, 3);
  assert.ok(first.fake.calls.every(({ method }) => method === 'POST'));
});

test('another wrong value is another Event', async (context) => {
  const mesh = await told(context);
  mesh.mesh.put(service('shop/web', {}, WRONG));
  mesh.teller.look();
  mesh.mesh.put(service('shop/web', {}, { annotations: { 'tulle.dev/retries': 'few' } }));
  mesh.teller.look();
  await until('both', () => events(mesh).length === 2);
});

test('of very many at once only so many are written', async (context) => {
  const mesh = await told(context, 3);
  for (let index = 0; index < 20; index++) mesh.mesh.put(service(`shop/s${index}`, {}, WRONG));
  mesh.teller.look();
  mesh.teller.look();
  await until('the first', () => events(mesh).length >= 3);
  assert.ok(mesh.fake.calls.length < 10, `${mesh.fake.calls.length} calls`);
});

test('namespaces of another mesh are not written to', async (context) => {
  const mesh = await told(context);
  mesh.mesh.put(
    service('elsewhere/web', {}, WRONG),
    namespace('elsewhere', WRONG),
    service('shop/web', {}, WRONG),
  );
  mesh.teller.look();
  await until('the one', () => events(mesh).length === 1);
  assert.equal(mesh.fake.calls.length, 1);
});

test('a note that is too long is cut between characters', async (context) => {
  const mesh = await told(context);
  mesh.mesh.put(
    service('shop/web', {}, { annotations: { ['tulle.dev/x'.padEnd(60, 'x')]: 'ä'.repeat(30) } }),
  );
  const hostnames = Array.from(
    { length: 16 },
    (_, index) => `${'x'.repeat(60)}.${'y'.repeat(60)}.h${index}.example`,
  );
  mesh.mesh.put(OUR_CLASS, gateway('edge/gw', [listener('a', { hostname: 'a.example' })]));
  mesh.mesh.put(routeTo('edge/r', {}, { hostnames }));
  mesh.teller.look();
  await until('all Events', () => events(mesh).length >= 3);
  const notes = events(mesh).map(({ note }) => note);
  assert.ok(notes.some((note) => note.endsWith('...')));
  for (const note of notes) assert.ok(Buffer.byteLength(note) <= 1_024);
});

test('a tenant in whose namespace all is wrong does not silence the others', async (context) => {
  const mesh = await told(context, 1);
  mesh.mesh.put(...Array.from({ length: 20 }, (_, at) => service(`evil/s${at}`, {}, WRONG)));
  mesh.teller.look();
  mesh.mesh.put(service('shop/web', {}, WRONG));
  mesh.teller.look();
  const namespaces = () => events(mesh).map(({ metadata }) => metadata.namespace);
  await until('the Event of another', () => namespaces().includes('shop'));
  assert.deepEqual(namespaces(), ['evil', 'shop']);
});

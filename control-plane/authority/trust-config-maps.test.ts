import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '../../test/fixture/wait.ts';
import { openApiServer } from '../kubernetes/api-server.ts';
import { type FakeApiServer, fakeApiServer } from '../kubernetes/fake-api-server.fixture.ts';
import { keepTrustConfigMaps } from './trust-config-maps.ts';

interface Kept {
  readonly fake: FakeApiServer;
  readonly logged: string[];
  /** What replicas may do, and the bundle; the test changes them. */
  readonly state: { mayWrite: boolean; bundle: string; asked: number };
  resync(): void;
  close(): void;
}

const pathOf = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps/tulle-trust`;
const textOf = ({ fake }: Kept, namespace: string) =>
  (fake.objects.get(pathOf(namespace))?.data as Record<string, string> | undefined)?.['bundle.pem'];
const writes = ({ fake }: Kept) => fake.calls.filter(({ method }) => method === 'PATCH');
const configMap = (namespace: string, text: string) => ({
  metadata: { name: 'tulle-trust', namespace },
  data: { 'bundle.pem': text },
});

function addNamespace(fake: FakeApiServer, name: string, more: object = {}): void {
  fake.put(`/api/v1/namespaces/${name}`, { metadata: { name, ...more } });
}

async function kept(context: TestContext, prepare: (fake: FakeApiServer) => void): Promise<Kept> {
  const fake = await fakeApiServer(context);
  prepare(fake);
  const api = openApiServer(fake.kubeConfig);
  const logged: string[] = [];
  const write = (details: object, message: string) =>
    void logged.push(`${message} ${JSON.stringify(details)}`);
  const state = { mayWrite: true, bundle: 'root 1', asked: 0 };
  const keeper = keepTrustConfigMaps({
    api,
    bundlePem: () => state.bundle,
    mayWrite: () => {
      state.asked++;
      return state.mayWrite;
    },
    log: { debug: write, info: write, warn: write, error: write },
  });
  context.after(() => {
    keeper.close();
    api.close();
  });
  return { fake, logged, state, resync: () => keeper.resync(), close: () => keeper.close() };
}

test('all namespaces have the bundle but those of Kubernetes and those that end; what is right is not written', async (context) => {
  const mesh = await kept(context, (fake) => {
    for (const name of ['shop', 'right', 'wrong', 'kube-system', 'kube-public']) addNamespace(fake, name);
    addNamespace(fake, 'ending', { deletionTimestamp: '2026-01-01T00:00:00Z' });
    fake.put(pathOf('right'), configMap('right', 'root 1'));
    fake.put(pathOf('wrong'), configMap('wrong', 'of another'));
  });
  await until('both', () => textOf(mesh, 'shop') === 'root 1' && textOf(mesh, 'wrong') === 'root 1');
  addNamespace(mesh.fake, 'later');
  await until('the new one', () => textOf(mesh, 'later') === 'root 1');
  assert.deepEqual(
    writes(mesh)
      .map(({ path }) => path)
      .sort(),
    ['later', 'shop', 'wrong'].map(pathOf),
  );
  const [first] = writes(mesh);
  assert.deepEqual([first?.query.get('fieldManager'), first?.query.get('force')], ['tulle', 'true']);
});

test('what is edited or deleted is restored, and another bundle comes to all', async (context) => {
  const mesh = await kept(context, (fake) => {
    addNamespace(fake, 'shop');
    addNamespace(fake, 'bank');
  });
  await until('both', () => textOf(mesh, 'shop') === 'root 1' && textOf(mesh, 'bank') === 'root 1');
  mesh.fake.remove(pathOf('shop'));
  mesh.fake.put(pathOf('bank'), configMap('bank', 'of an attacker'));
  await until('both again', () => textOf(mesh, 'shop') === 'root 1' && textOf(mesh, 'bank') === 'root 1');
  mesh.state.bundle = 'root 1 and 2';
  mesh.resync();
  await until('the other bundle', () =>
    ['shop', 'bank'].every((name) => textOf(mesh, name) === 'root 1 and 2'),
  );
});

test('a replica that lost the lease writes nothing more', async (context) => {
  const mesh = await kept(context, (fake) => addNamespace(fake, 'shop'));
  await until('the first', () => textOf(mesh, 'shop') === 'root 1');
  mesh.state.mayWrite = false;
  const { asked } = mesh.state;
  addNamespace(mesh.fake, 'later');
  await until('the question', () => mesh.state.asked > asked);
  mesh.state.mayWrite = true;
  addNamespace(mesh.fake, 'last');
  await until('the last', () => textOf(mesh, 'last') === 'root 1');
  assert.equal(textOf(mesh, 'later'), undefined);
});

test('a write that is refused is told and tried again; a namespace that is gone is not', async (context) => {
  const mesh = await kept(context, () => {});
  let refusals = 0;
  mesh.fake.intercept = ({ method, path }) => {
    if (method !== 'PATCH') return undefined;
    if (path === pathOf('gone')) return { status: 404 };
    return refusals++ === 0 ? { status: 403, body: { message: 'quota' } } : undefined;
  };
  addNamespace(mesh.fake, 'gone');
  await until('the try', () => writes(mesh).length === 1);
  addNamespace(mesh.fake, 'shop');
  await until('the second try', () => textOf(mesh, 'shop') === 'root 1');
  assert.deepEqual(mesh.logged, [
    'the ConfigMap tulle-trust could not be written yet {"namespace":"shop","error":"it answered 403: quota"}',
  ]);
  assert.equal(writes(mesh).filter(({ path }) => path === pathOf('gone')).length, 1);
});

test('a watch that breaks off, and a list that fails, are begun anew: nothing is missed', async (context) => {
  const mesh = await kept(context, (fake) => {
    let failures = 0;
    fake.intercept = ({ method }) =>
      method === 'GET' && failures++ < 4 ? { status: failures % 2 === 0 ? 500 : 410 } : undefined;
    addNamespace(fake, 'shop');
  });
  await until('the first', () => textOf(mesh, 'shop') === 'root 1');
});

test('close() ends the watches, and what changes then is left alone', async (context) => {
  const mesh = await kept(context, (fake) => addNamespace(fake, 'shop'));
  await until('the first', () => textOf(mesh, 'shop') === 'root 1');
  mesh.close();
  const witness = keepTrustConfigMaps({
    api: openApiServer(mesh.fake.kubeConfig),
    bundlePem: () => 'of the witness',
    mayWrite: () => true,
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  context.after(() => witness.close());
  addNamespace(mesh.fake, 'later');
  await until('the other one', () => textOf(mesh, 'later') === 'of the witness');
  await until('the first of the other', () => textOf(mesh, 'shop') === 'of the witness');
});

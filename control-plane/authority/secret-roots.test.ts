import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '../../test/fixture/wait.ts';
import { openApiServer } from '../kubernetes/api-server.ts';
import { type FakeApiServer, fakeApiServer } from '../kubernetes/fake-api-server.fixture.ts';
import { openSecretRoots } from './secret-roots.ts';

const PATH = '/api/v1/namespaces/tulle-system/secrets/tulle-authority';

async function opener(context: TestContext) {
  const fake: FakeApiServer = await fakeApiServer(context);
  const api = openApiServer(fake.kubeConfig);
  context.after(() => api.close());
  const logged: string[] = [];
  const write = (details: object, message: string) =>
    void logged.push(`${message} ${JSON.stringify(details)}`);
  const open = async (trustDomain = 'mesh.local') => {
    const log = { debug: write, info: write, warn: write, error: write };
    const roots = await openSecretRoots({ api, namespace: 'tulle-system', trustDomain, log, rereadMs: 10 });
    context.after(() => roots.close());
    return roots;
  };
  return { fake, open, logged };
}

test('of replicas that all see no Secret one makes it, and all have its root', async (context) => {
  const { fake, open } = await opener(context);
  let looks = 0;
  let all: () => void = () => {};
  const looked = new Promise<void>((resolve) => {
    all = resolve;
  });
  fake.intercept = async ({ method, path }) => {
    if (method !== 'GET' || path !== PATH || looks >= 3) return undefined;
    if (++looks === 3) all();
    await looked;
    return { status: 404 };
  };
  const opened = await Promise.all([open(), open(), open()]);
  const bundles = new Set(opened.map((roots) => roots.current().bundlePem));
  assert.equal(bundles.size, 1);
  const posts = fake.calls.filter(({ method }) => method === 'POST');
  assert.equal(posts.length, 3, 'all of them tried');
  const stored = fake.objects.get(PATH)?.data as Record<string, string>;
  assert.ok(bundles.has(Buffer.from(stored['ca.crt'] ?? '', 'base64').toString()));
});

test('while the API server is away what was read holds, and that is told once', async (context) => {
  const { fake, open, logged } = await opener(context);
  const roots = await open();
  const { bundlePem } = roots.current();
  fake.intercept = () => ({ status: 500 });
  const { length } = fake.calls;
  await until('some looks', () => fake.calls.length > length + 5);
  assert.equal(roots.problem(), 'it answered 500');
  assert.equal(roots.current().bundlePem, bundlePem);
  fake.intercept = () => undefined;
  await until('the end of it', () => roots.problem() === undefined);
  assert.equal(logged.filter((line) => line.includes('what was read before holds')).length, 1);
});

test('no key is logged, and a Secret that lacks something, or is of another mesh, is refused by name', async (context) => {
  const { fake, open, logged } = await opener(context);
  await open();
  const secret = fake.objects.get(PATH);
  assert.ok(secret);
  assert.equal(secret.type, 'kubernetes.io/tls');
  const { 'ca.crt': _, ...data } = secret.data as Record<string, string>;
  const key = data['tls.key'] ?? '';
  await assert.rejects(open('other.test'), /is the authority of the trust domain mesh\.local, not of other/);
  fake.put(PATH, { ...secret, data });
  await assert.rejects(open(), { message: 'the Secret tulle-system/tulle-authority has no ca.crt' });
  await until('the word of it', () => logged.some((line) => line.includes('has no ca.crt')));
  const pem = Buffer.from(key, 'base64').toString();
  assert.ok(!logged.join().includes(key) && !logged.join().includes(pem.slice(30, 60)));
});

test('an API server that is away, or forbids it, is the reason why there are no roots', async (context) => {
  const { fake, open } = await opener(context);
  fake.intercept = () => ({ status: 403, body: { message: 'secrets is forbidden' } });
  await assert.rejects(open(), { code: 403 });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import { until } from '../test/fixture/wait.ts';
import type { StoredCertificates } from './certificate-rotation.ts';
import { bundlePatch, type Cluster } from './cluster.ts';
import { type RunningInjector, startInjector } from './main.ts';
import { CONFIG, podOf, SHOP } from './pod.fixture.ts';
import { reviewOf } from './review.fixture.ts';

/** A cluster that answers as it is told to. */
class FakeCluster implements Cluster {
  announced = '';
  minor = 36;
  /** Why nothing is answered. */
  away: string | undefined;
  readNamespace: Cluster['readNamespace'] = async () => SHOP;
  private stored: StoredCertificates | undefined;

  async version() {
    return { major: 1, minor: this.minor };
  }

  certificateStore() {
    return {
      read: async () => this.stored && { stored: this.stored, revision: '1' },
      write: async (stored: StoredCertificates) => {
        this.stored = stored;
        return true;
      },
    };
  }

  async announceBundle(_configuration: string, bundlePem: string) {
    if (this.away !== undefined) throw new Error(this.away);
    this.announced = bundlePem;
  }
}

interface Line {
  readonly message: string;
  readonly details: object;
}

function start(
  t: TestContext,
  cluster: FakeCluster,
  lingerMs = 0,
  host: { readonly host?: string } = { host: '127.0.0.1' },
) {
  const lines: Line[] = [];
  const keep = (details: object, message: string): void => {
    lines.push({ message, details });
  };
  const running = startInjector({
    cluster,
    injection: CONFIG,
    listen: { ...host, port: 0 },
    health: { ...host, port: 0 },
    configuration: 'tulle-injector',
    names: ['127.0.0.1'],
    lingerMs,
    log: { debug: () => {}, info: keep, warn: keep, error: keep },
  });
  t.after(async () => (await running).close());
  return { running, lines };
}

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((all) => all?.some(({ family }) => family === 'IPv6'));
}

async function ask(
  { address }: RunningInjector,
  ca: string,
  path: string,
  object: unknown,
): Promise<Record<string, unknown>> {
  const [host = '', port = ''] = address.split(':');
  const headers = { 'content-type': 'application/json' };
  const outgoing = request({ host, port: Number(port), path, method: 'POST', ca, headers, agent: false });
  outgoing.end(JSON.stringify(object));
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return (JSON.parse(text) as { response: Record<string, unknown> }).response;
}

test('pods are injected, objects validated, and both are counted', async (t) => {
  const cluster = new FakeCluster();
  const { running, lines } = start(t, cluster);
  const injector = await running;
  assert.ok((await ask(injector, cluster.announced, '/inject', reviewOf(podOf()))).patch);
  const pod = podOf({}, { generateName: 'web-', annotations: { 'tulle.dev/proxy-workers': 'x' } });
  assert.equal(
    ((await ask(injector, cluster.announced, '/inject', reviewOf(pod))).warnings as string[]).length,
    1,
  );
  // Nobody sees the warnings of a pod that a controller makes.
  assert.deepEqual(
    lines.map(({ message }) => message),
    ['a pod was judged'],
  );
  assert.match(JSON.stringify(lines[0]?.details), /"pod":"shop\/web-".*proxy-workers/);
  const service = { metadata: { annotations: { 'tulle.dev/timeout': 'x' } } };
  const kind = { group: '', version: 'v1', kind: 'Service' };
  assert.ok((await ask(injector, cluster.announced, '/validate', reviewOf(service, { kind }))).warnings);
  const metrics = await (await fetch(`http://${injector.health}/metrics`)).text();
  assert.match(metrics, /webhook="inject",outcome="injected"} 2/);
  assert.match(metrics, /webhook="validate",outcome="allowed"} 1/);
  assert.equal((await fetch(`http://${injector.health}/readyz`)).status, 200);
});

test('while the cluster does not answer it is not ready and says why, and it goes on asking', async (t) => {
  const cluster = new FakeCluster();
  cluster.away = 'there is no MutatingWebhookConfiguration tulle-injector';
  const { running, lines } = start(t, cluster);
  await until('a line of log', () => lines.length > 0);
  assert.match(JSON.stringify(lines[0]?.details), /there is no MutatingWebhookConfiguration/);
  cluster.away = undefined;
  const injector = await running;
  assert.equal((await fetch(`http://${injector.health}/readyz`)).status, 200);
});

test('an address that cannot be listened on ends it, and leaves nothing open', async (t) => {
  const taken = await start(t, new FakeCluster()).running;
  const [host = '', port = ''] = taken.address.split(':');
  await assert.rejects(
    startInjector({
      cluster: new FakeCluster(),
      injection: CONFIG,
      listen: { host, port: Number(port) },
      health: { host: '127.0.0.1', port: 0 },
      configuration: 'tulle-injector',
      names: ['127.0.0.1'],
      lingerMs: 0,
      log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    }),
    /EADDRINUSE/,
  );
});

test('without a host it listens on both families, where there are both', async (t) => {
  const listening = start(t, new FakeCluster(), 0, {}).running;
  const { address, health } = await listening;
  const portOf = (text: string): string => text.slice(text.lastIndexOf(':'));
  assert.equal(address, `${hasIpv6() ? '[::]' : '0.0.0.0'}${portOf(address)}`);
  for (const host of hasIpv6() ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'])
    assert.equal((await fetch(`http://${host}${portOf(health)}/readyz`)).status, 200);
});

test('told to stop, it is not ready and goes on answering, since API servers learn of it a little later', async (t) => {
  const cluster = new FakeCluster();
  const { running } = start(t, cluster, 2_000);
  const injector = await running;
  const closed = injector.close();
  assert.equal((await fetch(`http://${injector.health}/readyz`)).status, 503);
  assert.ok((await ask(injector, cluster.announced, '/inject', reviewOf(podOf()))).patch);
  await closed;
  await assert.rejects(ask(injector, cluster.announced, '/inject', reviewOf(podOf())), /ECONNREFUSED/);
});

test('a namespace that is not answered in time does not keep the API server waiting', async (t) => {
  const cluster = new FakeCluster();
  cluster.readNamespace = () => new Promise(() => {});
  const { running, lines } = start(t, cluster);
  const response = await ask(await running, cluster.announced, '/inject', reviewOf(podOf()));
  assert.ok(response.patch);
  assert.match(JSON.stringify(lines), /no answer within 2000 ms/);
});

test('the bundle is written only where it is another, and only into the webhook that was read', () => {
  const webhooks = [
    { name: 'a', clientConfig: { caBundle: 'new' } },
    { name: 'b', clientConfig: { caBundle: 'old' } },
    { name: 'c', clientConfig: {} },
  ];
  assert.deepEqual(bundlePatch({ webhooks }, 'new'), [
    { op: 'test', path: '/webhooks/1/name', value: 'b' },
    { op: 'add', path: '/webhooks/1/clientConfig/caBundle', value: 'new' },
    { op: 'test', path: '/webhooks/2/name', value: 'c' },
    { op: 'add', path: '/webhooks/2/clientConfig/caBundle', value: 'new' },
  ]);
  assert.deepEqual(bundlePatch({}, 'new'), []);
});

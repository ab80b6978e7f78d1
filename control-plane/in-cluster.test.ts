import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { UnsecuredJWT } from 'jose';
import { createCertificateRequest } from '../protocol/certificate-request.ts';
import { until } from '../test/fixture/wait.ts';
import { rawSidecar } from './distribution/raw-sidecar.fixture.ts';
import type { Readiness } from './health.ts';
import { type InCluster, type InClusterOptions, startInCluster } from './in-cluster.ts';
import { type FakeApiServer, fakeApiServer } from './kubernetes/fake-api-server.fixture.ts';
import { MemoryRegistry } from './registry/memory-registry.fixture.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
const SECRET = '/api/v1/namespaces/tulle-system/secrets/tulle-authority';
const mesh = { services: [{ name: 'app', namespace: 't', port: 80 }] };

interface Started {
  readonly fake: FakeApiServer;
  readonly replica: InCluster;
  /** The first lists of the registry are there. */
  listed(): void;
  ready(): Promise<Readiness & { status: number }>;
  ca(): string;
}

async function started(
  context: TestContext,
  prepare: (fake: FakeApiServer) => void = () => {},
  more: Partial<InClusterOptions> = {},
): Promise<Started> {
  const fake = await fakeApiServer(context);
  prepare(fake);
  let listed: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    listed = resolve;
  });
  const replica = await startInCluster({
    kubeConfig: fake.kubeConfig,
    namespace: 'tulle-system',
    registry: Object.assign(new MemoryRegistry(mesh), { ready }),
    listen: { host: '127.0.0.1', port: 0 },
    health: { host: '127.0.0.1', port: 0 },
    leaseMs: 500,
    stopDelayMs: 0,
    log,
    ...more,
  });
  context.after(() => replica.close());
  return {
    fake,
    replica,
    listed: () => listed(),
    async ready() {
      const response = await fetch(`http://${replica.health}/readyz`);
      return { ...((await response.json()) as Readiness), status: response.status };
    },
    ca: () => {
      const data = fake.objects.get(SECRET)?.data as Record<string, string>;
      return Buffer.from(data['ca.crt'] ?? '', 'base64').toString();
    },
  };
}

test('it is not ready before its roots and the first lists are there, and says what it waits for; then it serves', async (context) => {
  const { fake, replica, listed, ready, ca } = await started(context, (server) => {
    server.intercept = () => ({ status: 403, body: { message: 'no right yet' } });
  });
  await until('the reason', async () => (await ready()).waiting.join().includes('no right yet'));
  assert.deepEqual((await ready()).waiting, ['the roots of the mesh: it answered 403: no right yet']);
  assert.equal((await ready()).status, 503);
  fake.intercept = ({ path }) =>
    path.endsWith('/tokenreviews')
      ? {
          status: 201,
          body: {
            spec: {},
            status: {
              authenticated: true,
              audiences: ['tulle'],
              user: { username: 'system:serviceaccount:t:web' },
            },
          },
        }
      : undefined;
  await until('the next one', async () => (await ready()).waiting.join().includes('registry'));
  assert.deepEqual((await ready()).waiting, ['the first lists of the registry']);
  assert.equal(await Promise.race([replica.serving, 'not yet']), 'not yet');
  listed();
  const address = await replica.serving;
  const state = await ready();
  assert.deepEqual([state.status, state.waiting, state.degraded], [200, [], []]);

  const { keyPem, csrPem } = createCertificateRequest();
  const stranger = rawSidecar(`https://${address}`, { ca: ca() });
  const token = new UnsecuredJWT({ aud: 'tulle' }).encode();
  const identity = stranger.call('/v1/identity', JSON.stringify({ csr: csrPem, token }));
  await until('a certificate', () => identity.ended);
  stranger.session.destroy();
  const { chain } = JSON.parse(identity.text) as { chain: string };
  const sidecar = rawSidecar(`https://${address}`, { ca: ca(), key: keyPem, cert: chain });
  context.after(() => sidecar.session.destroy());
  const { stream, messages } = sidecar.call('/v1/resources');
  stream.write('{"type":"subscribe","resources":[{"kind":"service","key":"t/app"}]}\n');
  await until('the service', () => messages.some(({ type }) => type === 'resource'));

  await until('the leader', async () => (await ready()).leads);
  const text = await (await fetch(`http://${replica.health}/metrics`)).text();
  for (const line of [
    'tulle_control_plane_sidecars 1',
    'tulle_control_plane_leader 1',
    'tulle_api_server_up 1',
    'tulle_registry_current 1',
    'tulle_certificates_total{result="issued"} 1',
  ])
    assert.ok(text.includes(`${line}\n`), line);

  // Readiness goes first: who stops gets no new sidecars.
  const closing = replica.close();
  const last = await fetch(`http://${replica.health}/readyz`).then(
    async (response) => [response.status, ((await response.json()) as Readiness).waiting],
    () => [503, ['the end: it stops']],
  );
  assert.deepEqual(last, [503, ['the end: it stops']]);
  await closing;
  await until('bye', () => messages.at(-1)?.type === 'bye');
});

test('while the API server is away it stays ready, and says so in words and numbers', async (context) => {
  const { fake, replica, listed, ready } = await started(context);
  listed();
  await replica.serving;
  fake.intercept = () => ({ status: 500 });
  await until('the word', async () => (await ready()).degraded.length > 0);
  const state = await ready();
  assert.equal(state.status, 200);
  assert.deepEqual(state.degraded, ['the API server is away (it answered 500): running on what is known']);
  const text = await (await fetch(`http://${replica.health}/metrics`)).text();
  assert.ok(text.includes('tulle_api_server_up 0\n'));
});

test('what the leader is to do besides is done by it alone, and ends with it', async (context) => {
  const events: string[] = [];
  const work = () => {
    events.push('start');
    return () => void events.push('stop');
  };
  const { replica } = await started(context, () => {}, { leadersWork: [work] });
  await until('the work', () => events.length === 1);
  await replica.close();
  assert.deepEqual(events, ['start', 'stop']);
});

test('it can be stopped while it waits for the API server', async (context) => {
  const { replica, ready } = await started(context, (server) => {
    server.intercept = () => ({ status: 500 });
  });
  await until('the reason', async () => (await ready()).waiting.join().includes('500'));
  await replica.close();
  assert.equal(await replica.serving, undefined);
});

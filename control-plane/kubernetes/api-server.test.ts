import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import { deadAddress } from '../../test/fixture/free-port.ts';
import { openApiServer, reasonOf, statusOf } from './api-server.ts';
import { fakeApiServer } from './fake-api-server.fixture.ts';

test('calls one after the other do not make a connection each', async (context) => {
  const fake = await fakeApiServer(context);
  const api = openApiServer(fake.kubeConfig);
  context.after(() => api.close());
  const core = api.client(CoreV1Api);
  for (let i = 0; i < 20; i++) await core.listNamespace();
  await api.client(CoreV1Api).listNamespace();
  assert.ok(fake.connections <= 2, `${fake.connections} connections`);
});

test('a refusal is an answer; an error of the server and silence are none, and the next answer ends that', async (context) => {
  const fake = await fakeApiServer(context);
  const api = openApiServer(fake.kubeConfig);
  context.after(() => api.close());
  const core = api.client(CoreV1Api);
  assert.equal(api.away(), undefined);
  fake.intercept = () => ({ status: 403, body: { message: 'forbidden' } });
  await assert.rejects(core.listNamespace(), (error) => statusOf(error) === 403);
  assert.equal(api.away(), undefined);
  fake.intercept = () => ({ status: 503 });
  await assert.rejects(core.listNamespace());
  assert.equal(api.away(), 'it answered 503');
  fake.intercept = () => undefined;
  await core.listNamespace();
  assert.equal(api.away(), undefined);
  context.mock.method(AbortSignal, 'timeout', () => AbortSignal.abort(new DOMException('', 'TimeoutError')));
  await assert.rejects(core.listNamespace(), (error) => statusOf(error) === undefined);
  assert.equal(api.away(), 'no answer within 5000 ms');
});

test('a reason has what the server says, and neither headers nor body', async (context) => {
  const fake = await fakeApiServer(context);
  const api = openApiServer(fake.kubeConfig);
  context.after(() => api.close());
  fake.intercept = () => ({ status: 403, body: { message: 'secrets is forbidden', secret: 'hidden' } });
  const error: unknown = await api
    .client(CoreV1Api)
    .listNamespace()
    .catch((thrown: unknown) => thrown);
  assert.equal(reasonOf(error), 'it answered 403: secrets is forbidden');
  const nobody = new KubeConfig();
  nobody.loadFromClusterAndUser(
    { name: 'n', server: `http://${await deadAddress()}`, skipTLSVerify: true },
    { name: 'n' },
  );
  const refused: unknown = await openApiServer(nobody)
    .client(CoreV1Api)
    .listNamespace()
    .catch((thrown: unknown) => thrown);
  assert.equal(reasonOf(refused), 'ECONNREFUSED');
});

test('a kubeconfig without a cluster is refused', () => {
  assert.throws(() => openApiServer(new KubeConfig()), { message: 'the kubeconfig names no cluster' });
});

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '../../test/fixture/wait.ts';
import { openApiServer } from '../kubernetes/api-server.ts';
import { type FakeApiServer, fakeApiServer } from '../kubernetes/fake-api-server.fixture.ts';
import { TestCluster } from '../registry/kubernetes/cluster.fixture.ts';
import { gateway, listener, OUR_CLASS } from '../registry/kubernetes/gateway.fixture.ts';
import { type GatewayProvisioner, provisionGateways } from './gateway-provisioner.ts';

const DEPLOYMENT = '/apis/apps/v1/namespaces/edge/deployments/gw-tulle';
const SERVICE = '/api/v1/namespaces/edge/services/gw-tulle';
const GATEWAY = gateway('edge/gw', [listener('http')]);

interface Provisioned {
  readonly fake: FakeApiServer;
  readonly mesh: TestCluster;
  readonly provisioner: GatewayProvisioner;
  readonly may: { write: boolean };
}

async function provisioned(
  context: TestContext,
  scope = 'edge',
  prepare: (fake: FakeApiServer) => void = () => {},
): Promise<Provisioned> {
  const fake = await fakeApiServer(context);
  prepare(fake);
  const api = openApiServer(fake.kubeConfig);
  const mesh = new TestCluster(OUR_CLASS, GATEWAY);
  const may = { write: true };
  const provisioner = provisionGateways({
    api,
    mayWrite: () => may.write,
    gateways: mesh.objects.gateways,
    inScope: (namespace) => namespace === scope,
    provisioning: {
      image: 'tulle:1',
      serviceType: 'ClusterIP',
      replicas: 1,
      requests: { cpu: '100m', memory: '128Mi' },
      maxReplicas: 1,
      controlPlane: 'control-plane:7400',
    },
    onChange() {},
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  context.after(() => {
    provisioner.close();
    api.close();
  });
  return { fake, mesh, provisioner, may };
}

const writes = ({ calls }: FakeApiServer, path?: string) =>
  calls.filter((call) => call.method === 'PATCH' && (path ?? call.path) === call.path);
const kinds = (fake: FakeApiServer) => writes(fake).map(({ body }) => body?.kind);

/** As the cluster's controllers would. */
function serve(fake: FakeApiServer, available: number): void {
  const { metadata, ...deployment } = fake.objects.get(DEPLOYMENT) ?? { metadata: { name: '' } };
  fake.put(DEPLOYMENT, { ...deployment, metadata, status: { availableReplicas: available } });
  const { spec, ...service } = fake.objects.get(SERVICE) ?? { metadata: { name: '' } };
  fake.put(SERVICE, { ...service, spec: { ...(spec as object), clusterIPs: ['10.96.0.9', 'fd00::9'] } });
}

test('all is applied once, by server-side apply, and its state is told', async (context) => {
  const { fake, provisioner } = await provisioned(context);
  await until('all of it', () => kinds(fake).length >= 4);
  assert.deepEqual(kinds(fake), ['ServiceAccount', 'Service', 'Deployment', 'PodDisruptionBudget']);
  serve(fake, 1);
  await until('its state', () => (provisioner.state('edge/gw')?.available ?? 0) === 1);
  await until('its addresses', () => (provisioner.state('edge/gw')?.addresses.length ?? 0) === 2);
  provisioner.look();
  provisioner.look();
  assert.deepEqual(provisioner.state('edge/gw'), {
    available: 1,
    addresses: [
      { type: 'IPAddress', value: '10.96.0.9' },
      { type: 'IPAddress', value: 'fd00::9' },
    ],
  });
  assert.equal(kinds(fake).length, 4, 'nothing is written twice');
});

test('an address of the load balancer goes before those of the cluster', async (context) => {
  const { fake, provisioner } = await provisioned(context);
  await until('all of it', () => kinds(fake).length >= 4);
  const found = fake.objects.get(SERVICE);
  const ingress = [{ ip: '192.0.2.7' }, { hostname: 'lb.example' }];
  fake.put(SERVICE, { ...found, status: { loadBalancer: { ingress } } });
  await until('both', () => provisioner.state('edge/gw')?.addresses.length === 2);
  assert.deepEqual(provisioner.state('edge/gw')?.addresses, [
    { type: 'IPAddress', value: '192.0.2.7' },
    { type: 'Hostname', value: 'lb.example' },
  ]);
});

test('what is deleted or changed by hand is put right', async (context) => {
  const { fake } = await provisioned(context);
  await until('all of it', () => kinds(fake).length >= 4);
  fake.remove(SERVICE);
  await until('the Service', () => fake.objects.has(SERVICE));
  await until('the rest', () => kinds(fake).length >= 8);
  const found = fake.objects.get(DEPLOYMENT);
  fake.put(DEPLOYMENT, { ...found, metadata: { ...found?.metadata, generation: 7 }, spec: { replicas: 0 } });
  await until('the Deployment', () => writes(fake, DEPLOYMENT).length >= 3);
});

test('of a Gateway that is being deleted nothing is made again', async (context) => {
  const { fake, mesh, provisioner } = await provisioned(context);
  await until('all of it', () => kinds(fake).length >= 4);
  const deletionTimestamp = '2026-01-02T00:00:00Z';
  mesh.put({ ...GATEWAY, metadata: { ...GATEWAY.metadata, deletionTimestamp } });
  fake.remove(SERVICE);
  fake.remove(DEPLOYMENT);
  await until('that it is seen', () => provisioner.state('edge/gw')?.addresses.length === 0);
  mesh.put(gateway('edge/other', [listener('http')]));
  provisioner.look();
  await until('what is made for another', () => kinds(fake).length >= 8);
  assert.ok(!fake.objects.has(SERVICE));
  assert.ok(!fake.objects.has(DEPLOYMENT));
});

test('another listener is another port of the Service', async (context) => {
  const { fake, mesh, provisioner } = await provisioned(context);
  await until('all of it', () => kinds(fake).length >= 4);
  mesh.put(gateway('edge/gw', [listener('http'), listener('more', { port: 8080 })]));
  provisioner.look();
  await until('the port', () => JSON.stringify(fake.objects.get(SERVICE)?.spec).includes('8080'));
});

for (const [kind, path] of Object.entries({
  ServiceAccount: '/api/v1/namespaces/edge/serviceaccounts/gw-tulle',
  Service: SERVICE,
  Deployment: DEPLOYMENT,
  PodDisruptionBudget: '/apis/policy/v1/namespaces/edge/poddisruptionbudgets/gw-tulle',
}))
  test(`who may write Gateways does not get hold of another's ${kind} by its name`, async (context) => {
    const labels = {
      'app.kubernetes.io/managed-by': 'tulle',
      'gateway.networking.k8s.io/gateway-name': 'other',
    };
    const ownerReferences = [{ kind: 'Gateway', name: 'other', uid: 'uid-other' }];
    const theirs = { metadata: { name: 'gw-tulle', labels, ownerReferences }, spec: {} };
    const { fake, provisioner } = await provisioned(context, 'edge', (api) => api.put(path, theirs));
    const words = `${kind} edge/gw-tulle is there and not of this Gateway`;
    await until('the refusal', () => provisioner.state('edge/gw')?.problem?.includes(words) === true);
    assert.deepEqual(kinds(fake), []);
    fake.remove(path);
    await until(
      'all of it',
      () => kinds(fake).length >= 4 && provisioner.state('edge/gw')?.problem === undefined,
    );
    assert.deepEqual(new Set(writes(fake).map(({ query }) => query.get('force'))), new Set(['false']));
  });

test('what a Gateway of the same name has left is taken over', async (context) => {
  const ownerReferences = [{ kind: 'Gateway', name: 'gw', uid: 'uid-before' }];
  const left = { metadata: { name: 'gw-tulle', ownerReferences }, spec: {} };
  const { fake } = await provisioned(context, 'edge', (api) => api.put(SERVICE, left));
  await until('all of it', () => kinds(fake).length >= 4);
  assert.deepEqual(new Set(writes(fake).map(({ query }) => query.get('force'))), new Set(['true']));
});

test('of a Gateway that is gone nothing is remembered, also if nothing could be made for it', async (context) => {
  const { fake, mesh, provisioner } = await provisioned(context);
  fake.intercept = ({ method }) =>
    method === 'PATCH' ? { status: 403, body: { message: 'no' } } : undefined;
  await until('the problem', () => provisioner.state('edge/gw')?.problem !== undefined);
  mesh.remove(GATEWAY);
  provisioner.look();
  assert.equal(provisioner.state('edge/gw')?.problem, undefined);
});

test('a failure is told until it is over', async (context) => {
  const { fake, provisioner } = await provisioned(context);
  let refuse = true;
  fake.intercept = ({ method, path }) =>
    refuse && method === 'PATCH' && path === DEPLOYMENT
      ? { status: 403, body: { kind: 'Status', message: 'no quota' } }
      : undefined;
  await until('the problem', () => provisioner.state('edge/gw')?.problem?.includes('no quota') === true);
  refuse = false;
  await until(
    'its end',
    () => provisioner.state('edge/gw')?.problem === undefined && kinds(fake).length >= 4,
  );
});

test('a replica that lost the lease, and one of another mesh, write nothing', async (context) => {
  const other = await provisioned(context, 'elsewhere');
  const lost = await provisioned(context);
  lost.may.write = false;
  for (const { provisioner } of [other, lost]) {
    await until('the first lists', () => provisioner.state('edge/gw') !== undefined);
    provisioner.look();
  }
  lost.may.write = true;
  lost.mesh.put(gateway('edge/gw', [listener('other', { port: 81 })]));
  lost.provisioner.look();
  await until('writes of the leader', () => kinds(lost.fake).length >= 4);
  assert.ok(writes(lost.fake, SERVICE).every(({ body }) => JSON.stringify(body).includes('81')));
  assert.deepEqual(kinds(other.fake), []);
});

test('a replica that loses the lease in the middle of its writes stops there', async (context) => {
  const { fake, may } = await provisioned(context);
  fake.intercept = ({ method, path }) => {
    if (method === 'PATCH' && path === SERVICE) may.write = false;
    return undefined;
  };
  await until('the second write', () => !may.write);
  await until('its end', () => fake.objects.has(SERVICE));
  await fetch(`${fake.kubeConfig.getCurrentCluster()?.server}/api/v1/namespaces`);
  assert.deepEqual(kinds(fake), ['ServiceAccount', 'Service']);
});

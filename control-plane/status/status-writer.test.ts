import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { until } from '../../test/fixture/wait.ts';
import { openApiServer } from '../kubernetes/api-server.ts';
import { type FakeApiServer, fakeApiServer } from '../kubernetes/fake-api-server.fixture.ts';
import { document, type RawObject, service, TestCluster } from '../registry/kubernetes/cluster.fixture.ts';
import {
  allowing,
  gateway,
  listener,
  listenerSet,
  OUR_CLASS,
  routeTo,
} from '../registry/kubernetes/gateway.fixture.ts';
import { type StatusWriter, writeStatuses } from './status-writer.ts';

const API = '/apis/gateway.networking.k8s.io/v1';
const PATHS: Readonly<Record<string, string>> = {
  'GatewayClass tulle': `${API}/gatewayclasses/tulle`,
  'Gateway edge/gw': `${API}/namespaces/edge/gateways/gw`,
  'HTTPRoute edge/r': `${API}/namespaces/edge/httproutes/r`,
  'TrafficPolicy shop/p': '/apis/tulle.dev/v1alpha1/namespaces/shop/trafficpolicies/p',
};
const POLICY = document('TrafficPolicy', 'shop/p', { targetRef: { kind: 'Service', name: 'none' } });

interface Written {
  readonly fake: FakeApiServer;
  readonly mesh: TestCluster;
  readonly writer: StatusWriter;
  readonly state: { mayWrite: boolean; available: number };
  /** As the watch does: tells the registry what the API server has. */
  watch(): void;
}

async function written(context: TestContext, inScope = (_: string) => true): Promise<Written> {
  const fake = await fakeApiServer(context);
  const api = openApiServer(fake.kubeConfig);
  const mesh = new TestCluster(service('edge/web'));
  const objects = [OUR_CLASS, gateway('edge/gw', [listener('a')]), routeTo('edge/r'), POLICY];
  for (const object of objects) fake.put(PATHS[idOf(object)] ?? '', object);
  const state = { mayWrite: true, available: 0 };
  const writer = writeStatuses({
    api,
    mayWrite: () => state.mayWrite,
    objects: mesh.objects,
    provisioner: {
      state: () => ({ available: state.available, addresses: [{ type: 'IPAddress', value: '::1' }] }),
    },
    inScope,
    log: { debug() {}, info() {}, warn() {}, error() {} },
  });
  context.after(() => {
    writer.close();
    api.close();
  });
  const watch = () => {
    for (const path of Object.values(PATHS)) mesh.put(fake.objects.get(path) as unknown as RawObject); // as it was put
    writer.look();
  };
  watch();
  return { fake, mesh, writer, state, watch };
}

function idOf({ kind, metadata: { namespace, name } }: RawObject): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

const writes = ({ fake: server }: Written, id?: string) =>
  server.calls.filter(
    ({ method, path }) =>
      method === 'PATCH' && !path.includes('/last-') && (id === undefined || path === `${PATHS[id]}/status`),
  );
const statusOf = ({ fake }: Written, id: string) =>
  JSON.stringify(fake.objects.get(PATHS[id] ?? '')?.status ?? {});

/** Looks, and waits for what comes last of such a look: what else was to be written would be there. */
async function settled({ fake: server, mesh, writer }: Written): Promise<void> {
  for (const turn of [1, 2]) {
    const last = document('TrafficPolicy', `edge/last-${turn}`, {
      targetRef: { kind: 'Service', name: 'web' },
    });
    const path = `/apis/tulle.dev/v1alpha1/namespaces/edge/trafficpolicies/last-${turn}`;
    server.put(path, last);
    mesh.put(server.objects.get(path) as unknown as RawObject); // as it was put
    writer.look();
    await until('the last', () => server.objects.get(path)?.status !== undefined);
  }
}

test('all that is ours gets its status, and what is right is not written again', async (context) => {
  const mesh = await written(context);
  await until('all of them', () => writes(mesh).length >= 4);
  mesh.watch();
  await settled(mesh);
  assert.equal(writes(mesh).length, 4);
  assert.match(statusOf(mesh, 'GatewayClass tulle'), /"supportedFeatures":\[\{"name":"BackendTLSPolicy"\}/);
  assert.match(statusOf(mesh, 'Gateway edge/gw'), /"attachedRoutes":1/);
  assert.match(statusOf(mesh, 'HTTPRoute edge/r'), /"controllerName":"tulle.dev\/gateway-controller"/);
  assert.match(statusOf(mesh, 'TrafficPolicy shop/p'), /TargetNotFound/);
});

test('what is provisioned later is written then, and the time of what stays is kept', async (context) => {
  const mesh = await written(context);
  await until('the first', () => writes(mesh, 'Gateway edge/gw').length === 1);
  const before = statusOf(mesh, 'Gateway edge/gw');
  assert.match(before, /"reason":"Pending"/);
  mesh.watch();
  mesh.state.available = 1;
  mesh.writer.look();
  await until('the second', () => writes(mesh, 'Gateway edge/gw').length === 2);
  assert.match(statusOf(mesh, 'Gateway edge/gw'), /"type":"Programmed","status":"True"/);
});

test('until the watch told what was written, it is not written again', async (context) => {
  const mesh = await written(context);
  await until('all of them', () => writes(mesh).length >= 4);
  await settled(mesh);
  assert.equal(writes(mesh).length, 4);
});

test('what another controller wrote meanwhile is not undone', async (context) => {
  const mesh = await written(context);
  await until('all of them', () => writes(mesh).length >= 4);
  const path = PATHS['HTTPRoute edge/r'] ?? '';
  const theirs = { parentRef: { name: 'theirs' }, controllerName: 'example.test/controller', conditions: [] };
  mesh.watch();
  // The watch is late: the registry does not know it yet.
  const now = fake(mesh, path);
  mesh.fake.put(path, {
    ...now,
    status: { parents: [...(now.status as { parents: object[] }).parents, theirs] },
  });
  mesh.mesh.put(service('edge/other', { ports: [] }));
  mesh.mesh.remove(service('edge/web'));
  mesh.writer.look();
  await until('the refusal', () => writes(mesh, 'HTTPRoute edge/r').length >= 2);
  assert.match(statusOf(mesh, 'HTTPRoute edge/r'), /example\.test/);
  assert.doesNotMatch(statusOf(mesh, 'HTTPRoute edge/r'), /BackendNotFound/);
  mesh.watch();
  await until('the next', () => statusOf(mesh, 'HTTPRoute edge/r').includes('BackendNotFound'));
  assert.match(statusOf(mesh, 'HTTPRoute edge/r'), /example\.test/);
});

test('in namespaces of another mesh nothing is written', async (context) => {
  const other = await written(context, (namespace) => namespace === 'shop');
  await until('the class and the policy', () => writes(other).length === 2);
  assert.deepEqual([statusOf(other, 'Gateway edge/gw'), statusOf(other, 'HTTPRoute edge/r')], ['{}', '{}']);
});

test('of a ListenerSet tells whoever has its Gateway, wherever the ListenerSet is', async (context) => {
  const mesh = await written(context, (namespace) => namespace === 'edge');
  const path = `${API}/namespaces/shop/listenersets/set`;
  const theirs = document('ListenerSet', 'edge/theirs', {
    parentRef: { name: 'gw', namespace: 'shop' },
    listeners: [listener('a')],
  });
  mesh.fake.put(path, listenerSet('shop/set', [listener('more', { port: 81 })]));
  mesh.mesh.put(gateway('edge/gw', [listener('a')], allowing('All')));
  mesh.mesh.put(gateway('shop/gw', [listener('a')], allowing('All')), theirs);
  mesh.mesh.put(fake(mesh, path) as unknown as RawObject); // as it was put
  mesh.writer.look();
  await until('its status', () => mesh.fake.objects.get(path)?.status !== undefined);
  assert.match(JSON.stringify(mesh.fake.objects.get(path)?.status), /"type":"Accepted","status":"True"/);
  await settled(mesh);
  assert.ok(!mesh.fake.calls.some((call) => call.path.includes('listenersets/theirs')));
});

test('a replica that does not lead writes nothing, until it does', async (context) => {
  const mesh = await written(context);
  mesh.state.mayWrite = false;
  mesh.mesh.put(service('edge/other'));
  mesh.writer.look();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(writes(mesh).length, 0);
  mesh.state.mayWrite = true;
  mesh.writer.look();
  await until('all of them', () => writes(mesh).length === 4);
});

test('a class of another controller is not touched', async (context) => {
  const mesh = await written(context);
  await until('all of them', () => writes(mesh).length >= 4);
  const foreign = document('GatewayClass', 'theirs', { controllerName: 'example.test/other' });
  mesh.mesh.put(foreign);
  await settled(mesh);
  assert.equal(writes(mesh).length, 4);
});

function fake({ fake: server }: Written, path: string) {
  const object = server.objects.get(path);
  assert.ok(object);
  return object;
}

test('a TrafficPolicy about a rule of a route is told whether it is in force, and again when the route changes', async (context) => {
  const mesh = await written(context);
  await until('the first', () => statusOf(mesh, 'TrafficPolicy shop/p').includes('TargetNotFound'));
  const path = '/apis/tulle.dev/v1alpha1/namespaces/edge/trafficpolicies/rule';
  const targetRef = { kind: 'HTTPRoute', name: 'r', sectionName: 'one' };
  mesh.fake.put(
    path,
    document('TrafficPolicy', 'edge/rule', { targetRef, fault: 'abort 503 1%', mtls: 'strict' }),
  );
  const told = () => JSON.stringify(mesh.fake.objects.get(path)?.status ?? {});
  const tell = () => {
    mesh.mesh.put(mesh.fake.objects.get(path) as unknown as RawObject); // as it was put
    mesh.watch();
  };
  tell();
  await until('the rule that is missing', () => told().includes('is the name of none of the rules'));
  assert.match(told(), /spec\.mtls: .{0,4}strict.{0,4} protects a service/);
  const backendRefs = [{ name: 'web', port: 80 }];
  const route = routeTo('edge/r', {}, { rules: [{ name: 'one', backendRefs }] });
  mesh.fake.put(PATHS['HTTPRoute edge/r'] ?? '', route);
  mesh.fake.put(path, document('TrafficPolicy', 'edge/rule', { targetRef, fault: 'abort 503 1%' }));
  tell();
  await until('that it is in force', () => told().includes('"status":"True","reason":"Accepted"'));
  assert.match(told(), /"status":"True","reason":"ResolvedRefs"/);
});

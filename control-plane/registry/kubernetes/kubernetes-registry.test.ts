import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ServiceResource } from '../../../protocol/resources.ts';
import { until } from '../../../test/fixture/wait.ts';
import type { Change } from '../registry.ts';
import { FakeApiServer, QUICK } from './api-server.fixture.ts';
import { document, endpoint, httpRoute, pod, service, slice, toService } from './cluster.fixture.ts';
import { type KubernetesRegistry, openKubernetesRegistry } from './kubernetes-registry.ts';
import { WATCHED_KINDS } from './watched-kinds.ts';

const CORE = [
  '/api/v1/namespaces',
  '/api/v1/pods',
  '/api/v1/services',
  '/apis/discovery.k8s.io/v1/endpointslices',
];
const [, PODS = '', SERVICES = '', SLICES = ''] = CORE;
const ROUTES = '/apis/gateway.networking.k8s.io/v1/httproutes';

interface Opened {
  readonly api: FakeApiServer;
  readonly registry: KubernetesRegistry;
  readonly told: (readonly Change[])[];
  readonly logged: string[];
}

async function opened(
  context: TestContext,
  prepare: (api: FakeApiServer) => void = () => {},
): Promise<Opened> {
  const api = new FakeApiServer();
  await api.listen();
  api.install(...CORE);
  prepare(api);
  const logged: string[] = [];
  const write = (_details: object, message: string) => void logged.push(message);
  const log = { debug() {}, info: write, warn: write, error: write };
  const kubeConfig = api.kubeConfig();
  const registry = openKubernetesRegistry({ kubeConfig, trustDomain: 'mesh.local', log, timing: QUICK });
  const told: (readonly Change[])[] = [];
  registry.onChange((changes) => told.push(changes));
  context.after(async () => {
    registry.close();
    await api.close();
  });
  return { api, registry, told, logged };
}

const written = (...ips: string[]) =>
  slice(
    'shop/out-1',
    'out',
    ips.map((ip) => endpoint(ip)),
  );
const out = (meta: object = {}) => service('shop/out', { selector: undefined }, meta);
const addresses = (registry: KubernetesRegistry) =>
  (registry.get('service', 'shop/out:80') as ServiceResource | undefined)?.service.endpoints.map(
    ({ address }) => address,
  );
const allWatched = (api: FakeApiServer) =>
  until('all watches', () => CORE.every((path) => api.watching(path) === 1));

test('is ready once all is listed, with what is not installed left out', async (context) => {
  const { api, registry, logged } = await opened(context, (one) => {
    one.put(SERVICES, out());
    one.put(SLICES, written('192.0.2.1'));
  });
  await registry.ready;
  assert.deepEqual(addresses(registry), ['192.0.2.1:8080']);
  await allWatched(api);
  await until('all connected', () => registry.state().current);
  const { problems, away, watches } = registry.state();
  assert.deepEqual([problems, away, logged], [[], undefined, []]);
  assert.deepEqual(
    watches.filter(({ served }) => served).map(({ kind }) => kind),
    ['Namespace', 'Service', 'Pod', 'EndpointSlice'],
  );
  assert.equal(watches.length, WATCHED_KINDS.length);
});

test('is not ready while one list is missing, and tells nobody what it knows so far', async (context) => {
  let closed = true;
  const { api, registry, told } = await opened(context, (one) => {
    one.put(SERVICES, out());
    one.fault = ({ path }) => (closed && path === SLICES ? { status: 503 } : undefined);
  });
  registry.follow('service', 'shop/out:80');
  let ready = false;
  const waiting = registry.ready.then(() => {
    ready = true;
  });
  await until('a watch of Services', () => api.watching(SERVICES) === 1);
  await until('the refusals', () => api.requests.filter(({ path }) => path === SLICES).length > 3);
  assert.deepEqual([ready, registry.state().current, told], [false, false, []]);
  assert.match(
    registry.state().away ?? '',
    /^cannot follow .*EndpointSlice.* since .*503.*: waits for the first list$/,
  );
  closed = false;
  await waiting;
  await until('the first change', () => told.length === 1);
});

test('tells what is followed and differs, a burst as one, and nothing after it is unfollowed', async (context) => {
  const { api, registry, told } = await opened(context, (one) => one.put(SERVICES, out()));
  await registry.ready;
  await allWatched(api);
  registry.follow('service', 'shop/out:80');
  registry.follow('service', 'shop/out:80');
  registry.follow('service', 'shop/none');
  api.put(SLICES, written('192.0.2.1'));
  await until('the change', () => told.length === 1);
  assert.deepEqual(told, [[{ kind: 'service', key: 'shop/out:80' }]]);
  registry.unfollow('service', 'shop/out:80');
  api.put(SLICES, written('192.0.2.2'));
  await until('the second change', () => told.length === 2);
  registry.unfollow('service', 'shop/out:80');
  api.put(SLICES, written('192.0.2.3'));
  api.put(SERVICES, service('shop/none'));
  await until('the third change', () => told.length === 3);
  assert.deepEqual(told[2], [{ kind: 'service', key: 'shop/none' }]);
  await until('the endpoints', () => addresses(registry)?.[0] === '192.0.2.3:8080');
});

test('an API server that goes away leaves all in force, and the state says since when', async (context) => {
  const { api, registry, told } = await opened(context, (one) => {
    one.put(SERVICES, out());
    one.put(SLICES, written('192.0.2.1'));
  });
  await registry.ready;
  await allWatched(api);
  registry.follow('service', 'shop/out:80');
  await api.close();
  await until('the loss', () => !registry.state().current);
  const { away = '', problems } = registry.state();
  assert.match(away, /^cannot follow .* since \d{4}-.*Z \(.+\): goes on with what it knows$/);
  assert.equal(problems.at(-1), away);
  assert.deepEqual([addresses(registry), told], [['192.0.2.1:8080'], []]);
  await registry.ready;
  api.put(SLICES, written('192.0.2.2'));
  await api.listen();
  await until('the change while it was away', () => told.length === 1);
  assert.deepEqual(addresses(registry), ['192.0.2.2:8080']);
  await until('the return', () => registry.state().current);
});

test('callers of a namespace with routes of its own are served those', async (context) => {
  const { api, registry } = await opened(context, (one) => one.put(SERVICES, service('shop/web')));
  await registry.ready;
  const parentRefs = [toService('web', { namespace: 'shop' })];
  api.put(ROUTES, httpRoute('front/r', { parentRefs, rules: [{}] }));
  const routes = (peer?: string) =>
    (registry.get('service', 'shop/web', peer) as ServiceResource).routes.length;
  await until('the route, of a kind that was not installed', () => routes('front/sa') === 1);
  assert.deepEqual([routes(), routes('frontend/sa'), routes('shop/front')], [0, 0, 0]);
});

test('problems are told as they come and go, logged once, and are in the state', async (context) => {
  const bad = (text: string) => out({ annotations: { 'tulle.dev/timeout': text } });
  const { api, registry, logged } = await opened(context, (one) => one.put(SERVICES, bad('soon')));
  const heard: string[][] = [];
  registry.onProblems((problems) =>
    heard.push(problems.map(({ reference }) => `${reference.kind} ${reference.name}`)),
  );
  await registry.ready;
  await until('the first', () => heard.length === 1);
  assert.deepEqual(registry.problems()[0]?.reference, {
    apiVersion: 'v1',
    kind: 'Service',
    namespace: 'shop',
    name: 'out',
    uid: 'uid-shop/out',
  });
  const [text = ''] = registry.state().problems;
  assert.match(text, /^Service shop\/out annotations\.tulle\.dev\/timeout: "soon" is not/);
  api.put(SERVICES, service('shop/other', {}, { annotations: { 'tulle.dev/timeot': '1s' } }));
  await until('the second', () => heard.length === 2);
  api.put(SERVICES, bad('1s'));
  await until('the mending', () => heard.length === 3);
  assert.deepEqual(heard, [['Service out'], ['Service out', 'Service other'], ['Service other']]);
  assert.equal(logged.filter((line) => line === text).length, 1);
});

test('an object that is not of the shape of its kind is told and harms no other', async (context) => {
  const { registry, logged } = await opened(context, (one) => {
    const odd = { metadata: { namespace: 'shop', name: 'odd' }, spec: { ports: 7 } };
    one.put(SERVICES, odd);
    one.put(SERVICES, out());
  });
  await registry.ready;
  assert.ok(registry.get('service', 'shop/out:80'));
  assert.equal(registry.get('service', 'shop/odd'), undefined);
  assert.deepEqual(logged, ['an object cannot be read: what was known of it stays']);
});

test('who runs is said only while it is known: with an API server that is away all go on', async (context) => {
  const { api, registry } = await opened(context, (one) => one.put(PODS, pod('shop/a', '10.1.0.1', 'web')));
  assert.equal(registry.runs?.('shop/gone'), true);
  await registry.ready;
  await until('all connected', () => registry.state().current);
  assert.deepEqual([registry.runs?.('shop/web'), registry.runs?.('shop/gone')], [true, false]);
  await api.close();
  await until('that it is away', () => registry.runs?.('shop/gone') === true);
});

test('a tenant who changes what is wrong again and again does not keep the control plane busy with it', async (context) => {
  const wrong = (at: number) => out({ annotations: { 'tulle.dev/retries': `many${at}` } });
  const { api, registry } = await opened(context, (one) => one.put(SERVICES, wrong(0)));
  let told = 0;
  let settled = 0;
  registry.onProblems(() => {
    told++;
    const end = performance.now() + 60; // as if there were thousands
    while (performance.now() < end);
  });
  registry.onSettled(() => settled++);
  await registry.ready;
  await allWatched(api);
  for (let at = 1; at <= 10; at++) {
    const before = settled;
    api.put(SERVICES, wrong(at));
    await until('that it is followed', () => settled > before);
  }
  assert.ok(told < 9, `told ${told} times`);
  const before = told;
  await until('the last one', () => told > before);
  assert.match(registry.problems()[0]?.problem.value ?? '', /many10/);
});

test('a TrafficPolicy about a route reaches those who call its Service, and is told when it cannot', async (context) => {
  const POLICIES = '/apis/tulle.dev/v1alpha1/trafficpolicies';
  const rules = [{ name: 'one', backendRefs: [{ name: 'out', port: 80 }] }];
  const policy = (fields: object) =>
    document('TrafficPolicy', 'shop/p', {
      targetRef: { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'r', sectionName: 'one' },
      ...fields,
    });
  const { api, registry, logged } = await opened(context, (one) => {
    one.put(SERVICES, out());
    one.put(ROUTES, httpRoute('shop/r', { parentRefs: [toService('out')], rules }));
    one.put(POLICIES, policy({ fault: 'abort 503 1%' }));
  });
  await registry.ready;
  registry.follow('service', 'shop/out:80');
  const said = () => (registry.get('service', 'shop/out:80') as ServiceResource).routes[0]?.rules[0]?.policy;
  assert.deepEqual(said()?.set.faults, [{ abort: { status: 503 }, share: 0.01 }]);
  await until('the watch', () => api.watching(POLICIES) === 1);
  api.put(POLICIES, policy({ fault: 'off', allow: 'web' }));
  await until('the change', () => said()?.set.faults === undefined);
  assert.deepEqual(said(), { set: {}, unset: ['faults'] });
  await until('the log', () =>
    logged.some((line) => /TrafficPolicy shop\/p spec\.allow: .*protects a service/.test(line)),
  );
});

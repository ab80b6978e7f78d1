import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, type TestContext, test } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import {
  type KubernetesRegistry,
  openKubernetesRegistry,
} from '../../control-plane/registry/kubernetes/kubernetes-registry.ts';
import { WATCH_TIMING } from '../../control-plane/registry/kubernetes/resource-watch.ts';
import type { ServiceResource, WorkloadResource } from '../../protocol/resources.ts';
import { VERSION } from '../../protocol/version.ts';
import { until } from '../fixture/wait.ts';
import { installCustomResources } from './custom-resources.ts';
import { apply, kubectl } from './kubectl-now.ts';
import { severedApiServer } from './severed-api-server.ts';

const run = randomUUID().slice(0, 8);
const SHOP = `registry-shop-${run}`;
const FRONT = `registry-front-${run}`;
/** It runs, and that is all that is asked of it. Containers of a pod share its ports. */
const idle = (port: number) => ({
  image: `tulle:${VERSION}`,
  imagePullPolicy: 'IfNotPresent',
  args: ['shop-service', 'idle', `--port=${port}`],
});
const GATE = 'tulle.dev/test';
const log = { debug() {}, info() {}, warn() {}, error() {} };

before(() => {
  installCustomResources();
  apply(...[SHOP, FRONT].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })));
});
after(() => {
  kubectl(['delete', 'namespace', SHOP, FRONT, '--wait=false']);
});

async function opened(
  context: TestContext,
  kubeConfig?: KubeConfig,
  timing = WATCH_TIMING,
): Promise<KubernetesRegistry> {
  const config = kubeConfig ?? new KubeConfig();
  if (kubeConfig === undefined) config.loadFromDefault();
  const registry = openKubernetesRegistry({ kubeConfig: config, trustDomain: 'mesh.local', log, timing });
  context.after(() => registry.close());
  await registry.ready;
  return registry;
}

function service(name: string, spec: object = {}, annotations: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: SHOP, annotations },
    spec: { ports: [{ name: 'http', port: 80, targetPort: 8080 }], ...spec },
  };
}

/** A slice that someone wrote. */
function slice(name: string, of: string, ...ips: string[]): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: SHOP, labels: { 'kubernetes.io/service-name': of } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: ips.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
  };
}

/** Ready when `says` it is; when it is deleted it goes on for a while, as one that drains. */
function pod(name: string, app: string, meshed: boolean): object {
  const preStop = { sleep: { seconds: 100 } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: SHOP, labels: { app } },
    spec: {
      terminationGracePeriodSeconds: 120,
      readinessGates: [{ conditionType: GATE }],
      containers: [
        { ...idle(8080), name: 'app', ports: [{ name: 'web', containerPort: 8080 }], lifecycle: { preStop } },
      ],
      ...(meshed && { initContainers: [{ ...idle(8081), name: 'tulle-proxy', restartPolicy: 'Always' }] }),
    },
  };
}

function says(name: string, ready: boolean): void {
  const status = { conditions: [{ type: GATE, status: ready ? 'True' : 'False' }] };
  kubectl(['patch', 'pod', name, '-n', SHOP, '--subresource=status', '-p', JSON.stringify({ status })]);
}

const addressOf = (name: string) =>
  kubectl(['get', 'pod', name, '-n', SHOP, '-o', 'jsonpath={.status.podIP}']);

const serviceOf = (registry: KubernetesRegistry, name: string, peer?: string) =>
  registry.get('service', `${SHOP}/${name}`, peer) as ServiceResource | undefined; // what a service key holds
const addresses = (registry: KubernetesRegistry, name: string) =>
  (serviceOf(registry, name)?.service.endpoints ?? []).map(
    ({ address, ready, identity }) =>
      `${address}${ready ? '' : ' not ready'}${identity === undefined ? '' : ` ${identity}`}`,
  );
async function is(registry: KubernetesRegistry, name: string, wanted: string[]): Promise<void> {
  const at = () => addresses(registry, name).join();
  await until(`${name} at ${wanted}`, () => at() === wanted.join()).catch((error: Error) => {
    const slices = kubectl(['get', 'endpointslice', '-n', SHOP, '-o', 'jsonpath={.items[*].endpoints}']);
    throw new Error(`${error.message}: it is at ${at()}, and the slices say ${slices}`);
  });
}

test('a Service without selector and its written slices, from the first to the last', async (context) => {
  const registry = await opened(context);
  const key = `${SHOP}/out:80`;
  let told = 0;
  registry.onChange((changes) => {
    assert.deepEqual(changes, [{ kind: 'service', key }]);
    told++;
  });
  registry.follow('service', key);
  apply(service('out'), slice('out-1', 'out', '192.0.2.1'));
  await is(registry, 'out:80', ['192.0.2.1:8080']);
  apply(slice('out-2', 'out', '192.0.2.2'));
  await is(registry, 'out:80', ['192.0.2.1:8080', '192.0.2.2:8080']);
  const ip = kubectl(['get', 'service', 'out', '-n', SHOP, '-o', 'jsonpath={.spec.clusterIP}']);
  const address = registry.get('address', `${ip}:80`);
  assert.equal(address?.kind === 'address' ? address.service : undefined, key);
  kubectl(['delete', 'endpointslice', 'out-1', '-n', SHOP]);
  await is(registry, 'out:80', ['192.0.2.2:8080']);
  kubectl(['delete', 'service', 'out', '-n', SHOP]);
  await until('its end', () => registry.get('service', key) === undefined);
  assert.ok(told >= 4, `told ${told} times`);
});

test('pods behind a selector: identity, readiness, termination, and what their sidecars protect', async (context) => {
  const registry = await opened(context);
  context.after(() => kubectl(['delete', 'pod', '-n', SHOP, '-l', 'app=web', '--force', '--grace-period=0']));
  apply(service('web', { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'web' }] }));
  apply(pod('web-a', 'web', true), pod('web-b', 'web', false));
  await until('both addresses', () => addressOf('web-a') !== '' && addressOf('web-b') !== '');
  const [a, b] = [addressOf('web-a'), addressOf('web-b')];
  says('web-a', true);
  const at = (aReady: boolean, bReady: boolean) =>
    [
      `${a}:8080${aReady ? '' : ' not ready'} ${SHOP}/default`,
      `${b}:8080${bReady ? '' : ' not ready'}`,
    ].sort();
  await is(registry, 'web', at(true, false));
  const workload = () => registry.get('workload', `${SHOP}/web-a`) as WorkloadResource | undefined; // what such a key holds
  assert.deepEqual(
    workload()?.ports.map(({ port, protocol, services }) => [port, protocol, services[0]?.key]),
    [[8080, 'http', `${SHOP}/web:80`]],
  );
  assert.equal(registry.get('workload', `${SHOP}/web-b`), undefined);
  assert.equal(registry.get('address', `${a}:1234`)?.kind, 'address');
  assert.equal(registry.get('address', `${b}:1234`), undefined);
  says('web-b', true);
  await is(registry, 'web', at(true, true));
  kubectl(['delete', 'pod', 'web-a', '-n', SHOP, '--wait=false']);
  await is(registry, 'web', at(false, true));
  // By another watch than the endpoints.
  await until('the word that it ends', () => workload()?.terminating === true);
  kubectl(['delete', 'pod', 'web-b', '-n', SHOP, '--wait=false']);
  // All end, and still serve: as kube-proxy does, they are used.
  const isTerminating = () =>
    kubectl([
      'get',
      'endpointslice',
      '-n',
      SHOP,
      '-l',
      'kubernetes.io/service-name=web',
      '-o',
      'jsonpath={.items[*].endpoints[*].conditions.terminating}',
    ]);
  await until('the end of both', () => isTerminating() === 'true true');
  await is(registry, 'web', at(true, true));
});

test('routes of producer and consumer, and a ReferenceGrant', async (context) => {
  const registry = await opened(context);
  const route = (namespace: string, name: string, backend: string) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'orders', namespace: SHOP, port: 80 }],
      rules: [{ backendRefs: [{ name: backend, namespace: SHOP, port: 80 }] }],
    },
  });
  apply(service('orders'), service('v2'), route(SHOP, 'producer', 'v2'), route(FRONT, 'consumer', 'v2'));
  const first = (peer?: string) => serviceOf(registry, 'orders', peer)?.routes[0];
  await until(
    'both',
    () => first()?.name === `${SHOP}/producer` && first(`${FRONT}/x`)?.name === `${FRONT}/consumer`,
  );
  assert.deepEqual(first()?.rules[0]?.backends, [{ service: `${SHOP}/v2:80`, weight: 1 }]);
  assert.match(first(`${FRONT}/x`)?.rules[0]?.backends[0]?.invalid ?? '', /ReferenceGrant/);
  const problem = registry.problems().find(({ reference }) => reference.namespace === FRONT);
  assert.equal(problem?.reason, 'RefNotPermitted');
  apply({
    apiVersion: 'gateway.networking.k8s.io/v1beta1',
    kind: 'ReferenceGrant',
    metadata: { name: 'front', namespace: SHOP },
    spec: {
      from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: FRONT }],
      to: [{ group: '', kind: 'Service' }],
    },
  });
  await until('the grant', () => first(`${FRONT}/x`)?.rules[0]?.backends[0]?.invalid === undefined);
});

test('annotations and a TrafficPolicy: the last good value stays, the problem is told', async (context) => {
  const registry = await opened(context);
  const timeout = () => serviceOf(registry, 'slow')?.settings.timeoutMs;
  const annotated = (text: string) => service('slow', {}, { 'tulle.dev/timeout': text });
  apply(annotated('2s'));
  await until('2 s', () => timeout() === 2000);
  apply(annotated('soon'));
  const problem = () => registry.problems().find(({ reference }) => reference.name === 'slow');
  await until('the problem', () => problem() !== undefined);
  assert.equal(timeout(), 2000);
  apply({
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'slow', namespace: SHOP },
    spec: { targetRef: { kind: 'Service', name: 'slow' }, 'try-timeout': '1s' },
  });
  await until('the policy', () => serviceOf(registry, 'slow')?.settings.tryTimeoutMs === 1000);
});

test('a TrafficPolicy about a rule of a route reaches the callers of its Service', async (context) => {
  const registry = await opened(context);
  apply(service('fragile'), {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: 'fragile', namespace: SHOP },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'fragile', port: 80 }],
      rules: [{ name: 'one', backendRefs: [{ name: 'fragile', port: 80 }] }],
    },
  });
  apply({
    apiVersion: 'tulle.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'fragile', namespace: SHOP },
    spec: {
      targetRef: {
        group: 'gateway.networking.k8s.io',
        kind: 'HTTPRoute',
        name: 'fragile',
        sectionName: 'one',
      },
      fault: 'abort 503 1%',
    },
  });
  const said = () => serviceOf(registry, 'fragile')?.routes[0]?.rules[0]?.policy?.set.faults;
  await until('the policy', () => said() !== undefined);
  assert.deepEqual(said(), [{ abort: { status: 503 }, share: 0.01 }]);
});

test('the API server goes away, and later falls silent: what was missed is caught up', async (context) => {
  const way = await severedApiServer();
  context.after(() => way.close());
  const registry = await opened(context, way.kubeConfig, {
    ...WATCH_TIMING,
    idleMs: 2_000,
    answerMs: 2_000,
    maxBackoffMs: 500,
  });
  apply(service('far'), slice('far-1', 'far', '192.0.2.21'));
  await is(registry, 'far', ['192.0.2.21:8080']);

  await way.cut();
  await until('the loss', () => !registry.state().current);
  assert.match(registry.state().away ?? '', /goes on with what it knows/);
  apply(slice('far-1', 'far', '192.0.2.22'));
  assert.deepEqual(addresses(registry, 'far'), ['192.0.2.21:8080']);
  await way.mend();
  await is(registry, 'far', ['192.0.2.22:8080']);
  await until('all watches', () => registry.state().current);

  way.silence();
  apply(slice('far-1', 'far', '192.0.2.23'));
  await until('the loss', () => !registry.state().current);
  await way.mend();
  await is(registry, 'far', ['192.0.2.23:8080']);
});

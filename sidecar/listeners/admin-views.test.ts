import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import 'reflect-metadata';
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';
import { DEFAULT_SETTINGS } from '../../protocol/default-settings.ts';
import type { GatewayResource, Resource, ServiceResource } from '../../protocol/resources.ts';
import type { Route } from '../../protocol/route.ts';
import type { Subscription } from '../config/subscription.ts';
import { DEFAULT_LIMITS } from '../http/limits.ts';
import { testAuthority } from '../identity/authority.fixture.ts';
import type { Identity, IdentitySource } from '../identity/identity.ts';
import { RunningServices } from '../routing/services.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { refusingConnector } from '../upstream/connector.ts';
import { certsView, configView } from './admin-views.ts';

const ROUTE: Route = {
  name: 'shop/r',
  kind: 'HTTPRoute',
  parents: [{ kind: 'Service', key: 'shop/orders' }],
  hostnames: [],
  rules: [
    {
      matches: [{ path: { type: 'PathPrefix', value: '/' }, headers: [], query: [] }],
      backends: [{ service: 'shop/orders', weight: 1 }],
      requestHeaders: {
        set: [['Authorization', 'Bearer hunter2']],
        add: [['X-Api-Key', 'hunter2']],
        remove: ['X-Gone'],
      },
      responseHeaders: { set: [['Set-Cookie', 'hunter2']] },
    },
  ],
};

const RESOURCE: ServiceResource = {
  kind: 'service',
  key: 'shop/orders',
  version: 'v1',
  service: {
    name: 'orders',
    namespace: 'shop',
    port: 80,
    protocol: 'http',
    endpoints: [
      { address: '10.0.0.1:80', weight: 3, ready: true, zone: 'a', identity: 'shop/orders' },
      { address: '10.0.0.2:80', weight: 1, ready: false },
    ],
    annotations: { secret: 'hunter2' },
  },
  settings: DEFAULT_SETTINGS,
  access: [
    {
      apiVersion: 'tulle.dev/v1alpha1',
      kind: 'AccessPolicy',
      metadata: { namespace: 'shop', name: 'keys' },
      spec: {
        targetRef: { kind: 'Service', name: 'orders' },
        apiKeys: { header: 'x-api-key', secretName: 'hunter2' },
      },
    } as ServiceResource['access'][number],
  ],
  routes: [ROUTE],
};

/** Services as they run, told of `resources`. */
function running(context: TestContext, ...resources: Resource[]): RunningServices {
  const listeners: ((resource: Resource) => void)[] = [];
  const subscription: Subscription = {
    want() {},
    drop() {},
    onResource: (listener) => listeners.push(listener),
    onAbsent() {},
    state: () => ({ connected: true, since: 0, trustDomain: 'mesh.local' }),
    close() {},
  };
  const services = new RunningServices(subscription, {
    connectorFor: () => refusingConnector('no network in this test'),
    engineLimits: DEFAULT_LIMITS,
    wheel: new TimerWheel(),
    connectMs: 1000,
  });
  context.after(() => services.close());
  for (const resource of resources) {
    services.use(resource.key, performance.now());
    for (const listener of listeners) listener(resource);
  }
  return services;
}

/** As the admin port tells it. */
function told(view: unknown): Record<string, unknown> {
  return JSON.parse(JSON.stringify(view)) as Record<string, unknown>;
}

test('the configuration is told as it runs: services, endpoints that are ready, what is in use', (context) => {
  const services = running(context, RESOURCE);
  services.use('shop/unknown', performance.now());
  const view = told(configView(services.all(), undefined)) as { services: Record<string, unknown>[] };
  assert.ok(!('gateway' in view));
  const [orders = {}, unknown = {}] = view.services;
  assert.deepEqual(unknown, { key: 'shop/unknown' });
  assert.deepEqual(
    [orders.key, orders.version, orders.protocol, orders.accessPolicies],
    ['shop/orders', 'v1', 'http', ['shop/keys']],
  );
  assert.deepEqual(orders.inUse, { connections: 0, pending: 0, requests: 0 });
  assert.deepEqual(orders.endpoints, [
    {
      address: '10.0.0.1:80',
      weight: 3,
      zone: 'a',
      identity: 'shop/orders',
      inFlight: 0,
      latencyMs: 0,
      connections: 0,
      idle: 0,
    },
  ]);
});

test('of an endpoint that is probed it is told how it is, and why it last failed', (context) => {
  const healthCheck = { kind: 'tcp', target: '', everyMs: 60_000, timeoutMs: 1_000 } as const;
  const services = running(context, { ...RESOURCE, settings: { ...DEFAULT_SETTINGS, healthCheck } });
  const cluster = [...services.all()][0]?.cluster;
  const [endpoint] = cluster?.endpoints ?? [];
  assert.ok(cluster !== undefined && endpoint !== undefined);
  const health = () => {
    const view = told(configView(services.all(), undefined)) as {
      services: { endpoints: { health: object }[] }[];
    };
    return view.services[0]?.endpoints[0]?.health;
  };
  assert.deepEqual(health(), { healthy: true });
  const check = cluster.healthOf(endpoint) ?? assert.fail('it is not probed');
  check.lastFailure = { words: 'it answered 503', atMs: Date.UTC(2026, 0, 2, 3, 4, 5) };
  endpoint.healthy = false;
  assert.deepEqual(health(), {
    healthy: false,
    lastFailure: { at: '2026-01-02T03:04:05.000Z', why: 'it answered 503' },
  });
  assert.deepEqual(
    [...services.checkedEndpoints()],
    [{ service: 'shop/orders', endpoint: '10.0.0.1:80', healthy: false }],
  );
});

test('of an endpoint that failed it is told how its circuit is, and by which failures', (context) => {
  const services = running(context, RESOURCE);
  const cluster = [...services.all()][0]?.cluster;
  const [endpoint] = cluster?.endpoints ?? [];
  assert.ok(cluster !== undefined && endpoint !== undefined);
  assert.deepEqual([...services.circuits()], []);
  context.mock.method(Date, 'now', () => Date.UTC(2026, 0, 2, 3, 4, 5));
  for (let i = 0; i < 6; i++) {
    cluster.started(endpoint, i);
    cluster.finished(endpoint, i, 1, true, 'connect-failed', i - 1);
  }
  const view = told(configView(services.all(), undefined)) as {
    services: { endpoints: { circuit: object }[] }[];
  };
  const failure = { at: '2026-01-02T03:04:05.000Z', result: 'connect-failed' };
  assert.deepEqual(view.services[0]?.endpoints[0]?.circuit, {
    state: 'closed',
    failuresInRow: 6,
    spared: 'it is the last',
    failures: [failure, failure, failure, failure, failure],
  });
  assert.deepEqual(
    [...services.circuits()],
    [{ service: 'shop/orders', endpoint: '10.0.0.1:80', ejected: false }],
  );
  assert.deepEqual(services.ejections(), {});
});

test('whoever reads the configuration gets no secret: values of headers, names of secrets and annotations stay out', (context) => {
  const services = running(context, RESOURCE);
  const gateway: GatewayResource = {
    kind: 'gateway',
    key: 'shop/edge',
    version: 'v2',
    listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }],
    routes: [ROUTE],
  };
  const view = told(configView(services.all(), gateway));
  assert.ok(!JSON.stringify(view).includes('hunter2'));
  const [rule] = (view.gateway as { routes: { rules: Record<string, unknown>[] }[] }).routes[0]?.rules ?? [];
  assert.deepEqual(rule?.requestHeaders, {
    set: [['Authorization', '***']],
    add: [['X-Api-Key', '***']],
    remove: ['X-Gone'],
  });
  assert.deepEqual(rule?.matches, [{ path: { type: 'PathPrefix', value: '/' }, headers: [], query: [] }]);
  assert.equal(
    ROUTE.rules[0]?.requestHeaders?.set?.[0]?.[1],
    'Bearer hunter2',
    'the running route is as it was',
  );
});

test('whoever reads the configuration gets no secret that a policy writes into headers', (context) => {
  const settings = {
    ...DEFAULT_SETTINGS,
    rewrites: [
      { what: 'header', name: 'authorization', expression: '.*', replacement: 'Bearer hunter2' },
      { what: 'path', name: '', expression: '/a', replacement: '/b' },
    ],
    directResponse: { status: 503, headers: [['set-cookie', 'hunter2']], body: 'soon' },
    faults: [{ share: 1, delayMs: 5, header: { name: 'x-chaos', value: 'hunter2' } }],
  } as const;
  const [rule] = ROUTE.rules;
  assert.ok(rule);
  const policy = { set: { rewrites: settings.rewrites }, unset: [] };
  const routes = [{ ...ROUTE, rules: [{ ...rule, policy }] }];
  const view = told(configView(running(context, { ...RESOURCE, settings, routes }).all(), undefined));
  assert.doesNotMatch(JSON.stringify(view), /hunter2/);
  assert.match(JSON.stringify(view), /"name":"authorization".*"replacement":"\/b"/);
});

test('an attacker who reads the admin port gets the certificates of listeners, and nothing of their keys', async () => {
  const { keyPem, chainPem } = await (await testAuthority()).issue('shop/edge', {
    names: [{ type: 'dns', value: 'shop.test' }],
  });
  const gateway: GatewayResource = {
    kind: 'gateway',
    key: 'shop/edge',
    version: 'v2',
    listeners: [
      {
        name: 'https',
        port: 443,
        protocol: 'HTTPS',
        tls: {
          mode: 'Terminate',
          certificates: [
            { certificate: chainPem, key: keyPem },
            // A mistake that is often made: both in one file, and a file that is no PEM.
            { certificate: keyPem + chainPem, key: keyPem },
            { certificate: keyPem, key: keyPem },
          ],
        },
      },
    ],
    routes: [],
  };
  const view = JSON.stringify(configView([], gateway));
  assert.match(view, /shop\.test/);
  assert.doesNotMatch(view, /PRIVATE KEY/);
  for (const line of keyPem.split('\n').filter((one) => one.length > 10 && !one.startsWith('-')))
    assert.ok(!view.includes(line), 'a part of the key');
});

function source(identity: Identity | undefined, error?: string): IdentitySource {
  return { current: () => identity, onChange: () => () => {}, lastError: () => error, close() {} };
}

test('without an identity there is none, and the last error is told', () => {
  assert.deepEqual(certsView(undefined), { identity: null, error: null });
  assert.deepEqual(certsView(source(undefined)), { identity: null, error: null });
  assert.deepEqual(certsView(source(undefined, 'the authority is away')), {
    identity: null,
    error: 'the authority is away',
  });
});

test('of an identity the certificates are told, and nothing of its key', async () => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '0a0b',
      name: 'CN=orders',
      notBefore: new Date('2026-01-02T03:04:05Z'),
      notAfter: new Date('2026-01-03T03:04:05Z'),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new SubjectAlternativeNameExtension([
          { type: 'url', value: 'spiffe://mesh.local/ns/shop/sa/orders' },
        ]),
      ],
    },
    webcrypto,
  );
  const pem = certificate.toString('pem');
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const identity: Identity = {
    workload: 'shop/orders',
    spiffeId: 'spiffe://mesh.local/ns/shop/sa/orders',
    trustDomain: 'mesh.local',
    keyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
    chainPem: pem,
    bundlePem: `${pem}\n${pem}\n`,
    notBefore: 0,
    notAfter: 0,
    rootNotAfter: 0,
  };
  const view = certsView(source(identity, 'the last renewal failed'));
  const one = {
    subject: 'CN=orders',
    names: 'URI:spiffe://mesh.local/ns/shop/sa/orders',
    issuer: 'CN=orders',
    serial: '0A0B',
    notBefore: '2026-01-02T03:04:05.000Z',
    notAfter: '2026-01-03T03:04:05.000Z',
  };
  assert.deepEqual(view, {
    identity: 'spiffe://mesh.local/ns/shop/sa/orders',
    chain: [one],
    bundle: [one, one],
    error: 'the last renewal failed',
  });
  const text = JSON.stringify(view);
  assert.ok(!text.includes('PRIVATE KEY') && !text.includes(pkcs8.slice(40, 80)));
});

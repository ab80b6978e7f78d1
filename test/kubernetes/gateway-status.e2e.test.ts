import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, type TestContext, test } from 'node:test';
import { createRoot } from '../../control-plane/authority/certificates.ts';
import { temporaryDir } from '../fixture/relay.ts';
import { startTulle, type Tulle } from '../fixture/tulle.ts';
import { until } from '../fixture/wait.ts';
import { chartAccount, removeChartAccount } from './chart-account.ts';
import { installCustomResources } from './custom-resources.ts';
import { apply, kubectl } from './kubectl-now.ts';

const run = randomUUID().slice(0, 8);
const OWN = `gateways-${run}`;
const VAULT = `gateways-vault-${run}`;
/** Of no mesh of this test. */
const OTHER = `gateways-other-${run}`;
const CLASS = `gateways-${run}`;
const GATEWAY_API = 'gateway.networking.k8s.io/v1';
const CLUSTER = process.env.KUBECONFIG;

before(() => {
  installCustomResources();
  const namespace = (name: string, mesh: string) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'tulle-test': mesh } },
  });
  apply(namespace(OWN, run), namespace(VAULT, run), namespace(OTHER, 'other'));
  apply({
    apiVersion: GATEWAY_API,
    kind: 'GatewayClass',
    metadata: { name: CLASS },
    spec: { controllerName: 'tulle.dev/gateway-controller' },
  });
});
after(() => {
  kubectl(['delete', 'gatewayclass', CLASS, '--wait=false']);
  kubectl(['delete', 'namespace', OWN, VAULT, OTHER, '--wait=false']);
  removeChartAccount(OWN);
});

/** A control plane outside the cluster, with the rights that the chart gives and no more. */
async function controlPlane(context: TestContext): Promise<Tulle> {
  process.env.KUBECONFIG = chartAccount(OWN, ['controlPlane.readSecrets=true'], temporaryDir(context));
  try {
    return await startTulle(
      context,
      'control-plane',
      '--kubernetes',
      ...['--namespace', OWN, '--namespace-selector', `tulle-test=${run}`],
      ...['--listen', '127.0.0.1:0', '--health', '127.0.0.1:0', '--lease', '2s', '--stop-delay', '0'],
      ...['--gateway-image', 'local/none:1', '--gateway-image-pull-policy', 'Never'],
      ...['--gateway-service-type', 'ClusterIP', '--gateway-replicas', '1'],
    );
  } finally {
    process.env.KUBECONFIG = CLUSTER;
  }
}

function object(apiVersion: string, kind: string, name: string, more: object, namespace = OWN): object {
  const { metadata, ...rest } = more as { metadata?: object };
  return { apiVersion, kind, metadata: { name, namespace, ...metadata }, ...rest };
}

const gateway = (name: string, listeners: object[], namespace = OWN) =>
  object(GATEWAY_API, 'Gateway', name, { spec: { gatewayClassName: CLASS, listeners } }, namespace);
const route = (name: string, parentRefs: object[], backend: string, namespace = OWN) =>
  object(
    GATEWAY_API,
    'HTTPRoute',
    name,
    { spec: { parentRefs, rules: [{ backendRefs: [{ name: backend, port: 80 }] }] } },
    namespace,
  );
const service = (name: string, annotations: object = {}, namespace = OWN) =>
  object('v1', 'Service', name, { metadata: { annotations }, spec: { ports: [{ port: 80 }] } }, namespace);

interface Conditioned {
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly observedGeneration: number;
  }[];
}

interface Status extends Conditioned {
  readonly addresses?: readonly { readonly value: string }[];
  readonly listeners?: readonly (Conditioned & { readonly name: string; readonly attachedRoutes: number })[];
  readonly parents?: readonly (Conditioned & { readonly controllerName: string })[];
  readonly supportedFeatures?: readonly object[];
}

function read(
  kind: string,
  name: string,
  namespace = OWN,
): { status?: Status; metadata: { generation: number } } {
  return JSON.parse(kubectl(['get', kind, name, '-n', namespace, '-o', 'json'])) as ReturnType<typeof read>;
}

/** `Type=Status Reason`. */
const words = (one: Conditioned | undefined) =>
  (one?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`);

/** Waits until a status has these words in the given order, and says what it has if it never does. */
async function says(
  what: string,
  get: () => Conditioned | undefined,
  wanted: readonly string[],
): Promise<void> {
  let had: string[] = [];
  await until(`${what}: ${wanted.join(', ')}`, () => {
    had = words(get());
    return wanted.every((one) => had.includes(one));
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; it has ${had.join(', ')}`);
  });
}

/** What Events at an object say: `Reason note`. */
function eventsOf(kind: string, name: string, namespace = OWN): string[] {
  const selector = `involvedObject.kind=${kind},involvedObject.name=${name}`;
  const where = kind === 'Namespace' ? 'default' : namespace;
  const { items } = JSON.parse(
    kubectl(['get', 'events', '-n', where, '--field-selector', selector, '-o', 'json']),
  ) as { items: { reason: string; message: string; reportingComponent?: string }[] };
  return items
    .filter(({ reportingComponent }) => reportingComponent === 'tulle.dev/control-plane')
    .map(({ reason, message }) => `${reason} ${message}`);
}

test('a Gateway is provisioned and told with its listeners and routes; it takes all with it when it goes', async (context) => {
  const replica = await controlPlane(context);
  apply(
    service('web'),
    gateway('edge', [
      { name: 'http', port: 80, protocol: 'HTTP' },
      { name: 'odd', port: 81, protocol: 'UDP' },
    ]),
    route('good', [{ name: 'edge', sectionName: 'http' }], 'web'),
    route('nowhere', [{ name: 'edge', sectionName: 'none' }], 'web'),
    route('broken', [{ name: 'edge' }], 'none'),
    route('mesh', [{ group: '', kind: 'Service', name: 'web', port: 80 }], 'web'),
    route('away', [{ name: 'edge', namespace: OWN }], 'web', VAULT),
  );
  await says('the class', () => read('gatewayclass', CLASS).status, ['Accepted=True Accepted']);
  assert.ok((read('gatewayclass', CLASS).status?.supportedFeatures?.length ?? 0) > 10);
  await says('the Gateway', () => read('gateway', 'edge').status, [
    'Accepted=True ListenersNotValid',
    'Programmed=False Pending',
  ]);
  const listener = (name: string) =>
    read('gateway', 'edge').status?.listeners?.find((one) => one.name === name);
  await says('http', () => listener('http'), ['Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs']);
  await says('odd', () => listener('odd'), [
    'Accepted=False UnsupportedProtocol',
    'Programmed=False Invalid',
  ]);
  await until('its routes', () => listener('http')?.attachedRoutes === 2);
  const parent = (name: string, namespace = OWN) => read('httproute', name, namespace).status?.parents?.[0];
  await says('good', () => parent('good'), ['Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs']);
  await says('nowhere', () => parent('nowhere'), ['Accepted=False NoMatchingParent']);
  await says('broken', () => parent('broken'), [
    'Accepted=True Accepted',
    'ResolvedRefs=False BackendNotFound',
  ]);
  await says('mesh', () => parent('mesh'), ['Accepted=True Accepted', 'ResolvedRefs=True ResolvedRefs']);
  await says('away', () => parent('away', VAULT), ['Accepted=False NotAllowedByListeners']);

  const clusterIp = kubectl(['get', 'service', 'edge-tulle', '-n', OWN, '-o', 'jsonpath={.spec.clusterIP}']);
  await until('the address', () => read('gateway', 'edge').status?.addresses?.[0]?.value === clusterIp);
  const kinds = 'deployment,service,serviceaccount,poddisruptionbudget';
  const selector = 'gateway.networking.k8s.io/gateway-name=edge';
  const made = () => kubectl(['get', kinds, '-n', OWN, '-l', selector, '-o', 'name']).trim();
  await until('all that is made', () => made().split('\n').length === 4);
  kubectl(['delete', 'service', 'edge-tulle', '-n', OWN]);
  await until('the Service again', () => made().split('\n').length === 4);

  // What it says next is of the generation that was looked at.
  apply(gateway('edge', [{ name: 'http', port: 8080, protocol: 'HTTP' }]));
  await says('the Gateway', () => read('gateway', 'edge').status, ['Accepted=True Accepted']);
  const { status, metadata } = read('gateway', 'edge');
  assert.ok(
    status?.conditions?.every(({ observedGeneration }) => observedGeneration === metadata.generation),
  );
  await until('the port', () =>
    kubectl(['get', 'service', 'edge-tulle', '-n', OWN, '-o', 'jsonpath={.spec.ports[*].port}']).includes(
      '8080',
    ),
  );
  kubectl(['delete', 'gateway', 'edge', '-n', OWN]);
  await until('the end of all', () => made() === '');
  assert.doesNotMatch(replica.log, /could not be (written|provisioned)/);
});

test('a certificate of another namespace needs a grant; what replaces or revokes it is seen', async (context) => {
  await controlPlane(context);
  const { certificatePem, keyPem } = await createRoot('edge.test');
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const data = { 'tls.crt': base64(certificatePem), 'tls.key': base64(keyPem) };
  apply(object('v1', 'Secret', 'web', { type: 'kubernetes.io/tls', data }, VAULT));
  const certificateRefs = [{ name: 'web', namespace: VAULT }];
  apply(
    gateway('secure', [
      { name: 'https', port: 443, protocol: 'HTTPS', tls: { mode: 'Terminate', certificateRefs } },
    ]),
  );
  const listener = () => read('gateway', 'secure').status?.listeners?.[0];
  await says('https', listener, ['ResolvedRefs=False RefNotPermitted', 'Programmed=False Invalid']);
  apply(
    object(
      'gateway.networking.k8s.io/v1beta1',
      'ReferenceGrant',
      'edge',
      {
        spec: {
          from: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: OWN }],
          to: [{ group: '', kind: 'Secret', name: 'web' }],
        },
      },
      VAULT,
    ),
  );
  await says('https', listener, ['ResolvedRefs=True ResolvedRefs', 'Programmed=False Pending']);
  kubectl(['delete', 'referencegrant', 'edge', '-n', VAULT]);
  await says('https', listener, ['ResolvedRefs=False RefNotPermitted']);
});

test('what is wrong in annotations, routes and policies is told by Events, once each', async (context) => {
  await controlPlane(context);
  const wrong = { 'tulle.dev/retries': 'many' };
  const containers = [{ name: 'tulle-proxy', image: 'local/none:1', imagePullPolicy: 'Never' }];
  apply(
    service('wrong', wrong),
    service('unseen', wrong, OTHER),
    object('v1', 'Pod', 'wrong', {
      metadata: { annotations: { 'tulle.dev/opaque-ports': 'x' } },
      spec: { containers },
    }),
    route('lost', [{ group: '', kind: 'Service', name: 'wrong' }], 'none'),
    object('tulle.dev/v1alpha1', 'TrafficPolicy', 'lost', {
      spec: { targetRef: { kind: 'Service', name: 'none' }, timeout: 'soon' },
    }),
  );
  kubectl(['annotate', 'namespace', OWN, 'tulle.dev/timeout=soon']);
  const told = async (kind: string, name: string, ...patterns: RegExp[]) => {
    await until(`Events at ${kind} ${name}`, () => eventsOf(kind, name).length >= patterns.length);
    const events = eventsOf(kind, name);
    for (const pattern of patterns)
      assert.ok(
        events.some((one) => pattern.test(one)),
        events.join('\n'),
      );
    assert.equal(events.length, patterns.length, events.join('\n'));
  };
  await told(
    'Service',
    'wrong',
    /^InvalidAnnotation annotations\.tulle\.dev\/retries: "many" is not .*; write/,
  );
  await told(
    'Pod',
    'wrong',
    /^InvalidAnnotation annotations\.tulle\.dev\/opaque-ports: "x" is not a list of ports/,
  );
  await told(
    'HTTPRoute',
    'lost',
    /^BackendNotFound spec\.rules\[0\]\.backendRefs\[0\]: Service .*none does not exist/,
  );
  await told('TrafficPolicy', 'lost', /^Invalid spec\.timeout: "soon"/, /^TargetNotFound spec\.targetRef/);
  await told('Namespace', OWN, /^InvalidAnnotation annotations\.tulle\.dev\/timeout: "soon"/);
  assert.deepEqual(eventsOf('Service', 'unseen', OTHER), [], 'that namespace is of another mesh');
  const policy = () => read('trafficpolicy', 'lost').status;
  await says('the policy', policy, ['Accepted=False Invalid', 'ResolvedRefs=False TargetNotFound']);
  kubectl(['annotate', 'namespace', OWN, 'tulle.dev/timeout-']);
});

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { installation } from '../../cli/install.ts';
import { runCommand } from '../fixture/command.ts';
import { until } from '../fixture/wait.ts';
import { type Manifest, manifests } from './helm.ts';

const OPTIONS = { set: [], values: [], crds: 'without', apiVersions: [] };
/** Objects of the mesh's namespace are tried in this one. */
const NAMESPACE = `chart-test-${randomBytes(4).toString('hex')}`;

before(async () => {
  await kubectl('create', 'namespace', NAMESPACE);
  await kubectl('label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=restricted');
  await apply(installation({ ...OPTIONS, crds: 'only' }));
  const established = ['--for=condition=Established', '--timeout=60s'];
  await kubectl('wait', ...established, ...CRDS.map((name) => `crd/${name}.tulle.dev`));
});

after(() => kubectl('delete', 'namespace', NAMESPACE));

const CRDS = ['accesspolicies', 'aggregates', 'trafficpolicies'];

/** Runs kubectl; rejects with its words if it fails. */
async function kubectl(...args: readonly string[]): Promise<string> {
  return kubectlWith('', ...args);
}

async function kubectlWith(input: string, ...args: readonly string[]): Promise<string> {
  const { code, out, err } = await runCommand('kubectl', args, { input });
  if (code !== 0) throw new Error(err);
  return out + err;
}

/**
 * Waits until kubectl says so. The API server's discovery and its OpenAPI learn of an established kind a little later,
 * and kubectl keeps for hours what it found.
 */
async function comesToSay(pattern: RegExp, ...args: readonly string[]): Promise<void> {
  let said = '';
  const holds = async (): Promise<boolean> => {
    await kubectl('api-resources', '--categories=tulle'); // It renews what kubectl keeps.
    const { out, err } = await runCommand('kubectl', args);
    said = out + err;
    return pattern.test(out);
  };
  await until(`kubectl ${args.join(' ')} to say ${pattern}`, holds).catch((error: unknown) => {
    throw new Error(`${error}; it says: ${said}`);
  });
}

function apply(text: string, ...more: readonly string[]): Promise<string> {
  return kubectlWith(text, 'apply', '--server-side', '--force-conflicts', ...more, '-f', '-');
}

/** Manifests of an installation, but those of the mesh's namespace in the test's. */
function elsewhere(options: Partial<Parameters<typeof installation>[0]>): Manifest[] {
  return [...manifests(installation({ ...OPTIONS, ...options })).values()].map((manifest) =>
    manifest.metadata.namespace === undefined
      ? manifest
      : { ...manifest, metadata: { ...manifest.metadata, namespace: NAMESPACE } },
  );
}

function list(items: readonly object[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}

for (const [name, options] of Object.entries({
  'the default': {},
  'the profile ha': { profile: 'ha' },
  'the profile dev': { profile: 'dev' },
  'much that is not the default': {
    set: [
      'controlPlane.readSecrets=true,injector.cni=true,injector.excludedNamespaces={a,b},imagePullSecrets[0].name=x',
      'tolerations[0].operator=Exists,podAnnotations.a=b,controlPlane.extraArgs={--a},controlPlane.extraEnv[0].name=A',
    ],
  },
})) {
  test(`the API server takes all objects of ${name}, without a warning`, async () => {
    const items = elsewhere(options);
    const said = await apply(list(items), '--dry-run=server', '--validate=strict');
    assert.doesNotMatch(said, /warning/i);
    assert.equal(said.match(/serverside-applied \(server dry run\)$/gm)?.length, items.length, said);
  });
}

test("the mesh's own pods meet the restricted pod security standard", async () => {
  const deployments = elsewhere({}).filter(({ kind }) => kind === 'Deployment');
  assert.equal(deployments.length, 2);
  for (const deployment of deployments) {
    const { template } = (deployment as unknown as { spec: { template: { spec: object } } }).spec;
    const metadata = { name: deployment.metadata.name, namespace: NAMESPACE };
    // Its service account is not there, as nothing of the installation is.
    const spec = { ...template.spec, serviceAccountName: 'default' };
    await apply(list([{ apiVersion: 'v1', kind: 'Pod', metadata, spec }]), '--dry-run=server');
  }
});

function policy(spec: object): string {
  const metadata = { name: 'try', namespace: NAMESPACE };
  return JSON.stringify({ apiVersion: 'tulle.dev/v1alpha1', kind: 'TrafficPolicy', metadata, spec });
}

const targetRef = { kind: 'Service', name: 'orders' };

test('a policy is taken, shown with its target, and explained', async () => {
  await apply(policy({ targetRef, timeout: '2s' }));
  await comesToSay(/trafficpolic.*\/try +Service +orders/, '--namespace', NAMESPACE, 'get', 'tulle');
  await comesToSay(/"2 on\s+connect,reset,503"/, 'explain', 'trafficpolicy.spec.retries');
});

test('a value of another type, or a kind that no policy is about, is refused', async () => {
  await assert.rejects(apply(policy({ targetRef, timeout: 2 })), /timeout.*must be of type string|timeout/s);
  await assert.rejects(
    apply(policy({ targetRef: { ...targetRef, kind: 'Pod' } })),
    /supported values: "Service"/,
  );
  await assert.rejects(apply(policy({ timeout: '2s' })), /targetRef/);
});

test('an unknown field is kept for the webhook and the control plane to tell what was meant', async () => {
  await apply(policy({ targetRef, timeuot: '2s' }));
  const kept = await kubectl(
    '--namespace',
    NAMESPACE,
    'get',
    'trafficpolicy/try',
    '--output=jsonpath={.spec}',
  );
  assert.match(kept, /"timeuot":"2s"/);
});

test('what the control plane writes into status is taken, and shown', async () => {
  await apply(policy({ targetRef }));
  const condition = {
    type: 'Accepted',
    status: 'False',
    reason: 'Invalid',
    message: 'timeout is not a duration',
    lastTransitionTime: '2026-01-01T00:00:00Z',
    observedGeneration: 1,
  };
  const patch = JSON.stringify({ status: { conditions: [condition] } });
  const into = [
    '--namespace',
    NAMESPACE,
    'patch',
    'trafficpolicy/try',
    '--type=merge',
    '--subresource=status',
  ];
  await kubectl(...into, '--patch', patch);
  assert.match(await kubectl('--namespace', NAMESPACE, 'get', 'trafficpolicy/try'), /orders +False/);
});

test('the control plane may do what it does, and no more', async () => {
  const rules = rulesOf('tulle-control-plane');
  // A user of the test's own, with the rules of the role in the test's namespace: bindings for all would be felt by others.
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'tried', namespace: NAMESPACE },
    rules,
  };
  const subjects = [{ kind: 'ServiceAccount', name: 'tried', namespace: NAMESPACE }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'tried' };
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: role.metadata };
  await apply(list([account, role, { ...role, kind: 'RoleBinding', rules: undefined, subjects, roleRef }]));
  const user = `system:serviceaccount:${NAMESPACE}:tried`;
  const may = async (verb: string, group: string, resource: string, subresource = '', name = '') => {
    const resourceAttributes = { namespace: NAMESPACE, verb, group, resource, subresource, name };
    const kind = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview' };
    const review = JSON.stringify({ ...kind, spec: { user, resourceAttributes } });
    return (await kubectlWith(review, 'create', '--output=jsonpath={.status.allowed}', '-f', '-')) === 'true';
  };
  const gateway = 'gateway.networking.k8s.io';
  assert.ok(await may('watch', 'discovery.k8s.io', 'endpointslices'));
  assert.ok(await may('patch', gateway, 'httproutes', 'status'));
  assert.ok(await may('patch', gateway, 'backendtlspolicies', 'status'));
  assert.ok(await may('get', '', 'configmaps', '', 'some-authority'));
  assert.ok(await may('patch', 'tulle.dev', 'trafficpolicies', 'status'));
  assert.ok(await may('patch', '', 'configmaps', '', 'tulle-trust'));
  assert.ok(await may('create', 'events.k8s.io', 'events'));
  assert.ok(await may('patch', 'apps', 'deployments'));
  assert.ok(!(await may('get', '', 'secrets')));
  assert.ok(!(await may('list', '', 'configmaps')));
  assert.ok(!(await may('patch', '', 'configmaps', '', 'other')));
  assert.ok(!(await may('delete', '', 'configmaps', '', 'tulle-trust')));
  assert.ok(!(await may('update', '', 'services')));
  assert.ok(!(await may('create', '', 'pods')));
  assert.ok(!(await may('delete', 'apps', 'deployments')));
  assert.ok(!(await may('create', '', 'pods', 'exec')));
  assert.ok(!(await may('patch', gateway, 'httproutes')));
  assert.ok(!(await may('patch', 'tulle.dev', 'trafficpolicies')));
});

function rulesOf(role: string): readonly object[] {
  const found = elsewhere({}).find(({ kind, metadata }) => kind === 'ClusterRole' && metadata.name === role);
  return (found as unknown as { rules: readonly object[] }).rules;
}

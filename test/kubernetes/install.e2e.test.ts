import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { installation } from '../../cli/install.ts';
import { temporaryFolder } from '../fixture/temporary-folder.ts';
import { CHART, helm, manifests } from './helm.ts';

const OPTIONS = { set: [], values: [], crds: 'with', apiVersions: [] };
const TEMPLATE = ['template', 'tulle', CHART, '--namespace', 'tulle-system', '--kube-version', '1.36.0'];
const GATEWAY = 'gateway.networking.k8s.io/v1/GatewayClass';

const FILE = `
imagePullSecrets: [{ name: registry }]
tolerations: [{ key: dedicated, operator: Exists, effect: NoSchedule }]
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: [{ matchExpressions: [{ key: mesh, operator: In, values: ["on", "yes", "0o17", "1e3", "~"] }] }]
podAnnotations: { example.test/multi-line: "one\\ntwo: 3\\n", example.test/number: "42", example.test/empty: "" }
nodeSelector: { kubernetes.io/os: null, disk: ssd }
controlPlane:
  extraArgs: ["--quotas=redis://redis:6379", "- # '\\""]
  extraEnv: [{ name: NODE_OPTIONS, value: "" }]
  resources: { limits: { cpu: 2 } }
monitoring: { enabled: true, labels: { release: prometheus } }
networkPolicy: { metricsFrom: [{ ipBlock: { cidr: 10.0.0.0/8, except: [10.1.0.0/16] } }] }
`;

/** What is said to Helm and to `tulle install`. */
const CASES: Readonly<
  Record<string, { set?: string[]; profile?: string; file?: string; apiVersions?: string[] }>
> = {
  'the default': {},
  'the profile ha': { profile: 'ha' },
  'the profile dev': { profile: 'dev' },
  'a tag': { set: ['image.tag=1.2.3'] },
  'a digest and a registry with a port': {
    set: [`image.digest=sha256:${'0a'.repeat(32)},image.repository=registry.test:5000/mesh/tulle`],
  },
  replicas: { set: ['controlPlane.replicas=5', 'injector.replicas=1'] },
  'autoscaling on a profile': { profile: 'dev', set: ['controlPlane.autoscaling.enabled=true'] },
  'no network policy, no disruption budget': {
    set: ['networkPolicy.enabled=false', 'podDisruptionBudget.enabled=false'],
  },
  'the Gateway API is there': { apiVersions: [GATEWAY] },
  'the Gateway API is there and not wanted': { apiVersions: [GATEWAY], set: ['gatewayClass=never'] },
  'the Gateway API is wanted unseen': { set: ['gatewayClass=always'] },
  'secrets and excluded namespaces': {
    set: ['controlPlane.readSecrets=true', 'injector.excludedNamespaces={legacy,"quoted"}'],
  },
  'an empty list and a cleared text': { set: ['injector.excludedNamespaces={}', 'priorityClassName='] },
  'escapes and items': {
    set: [
      'podAnnotations.example\\.test/a=b\\,c',
      'podAnnotations.x=y=z',
      'imagePullSecrets[0].name=a,imagePullSecrets[1].name=b',
      'controlPlane.resources.limits.cpu=1',
      'injector.cni=true',
      'controlPlane.extraArgs={--a=1,--b\\,c}',
    ],
  },
  'a file of values': { file: FILE },
  'a file, a profile and an assignment': { file: FILE, profile: 'ha', set: ['tolerations[0].key=other'] },
  'no namespace': { set: ['namespace.create=false'] },
};

for (const [name, { set = [], profile, file, apiVersions = [] }] of Object.entries(CASES)) {
  test(`tulle install prints what helm template does: ${name}`, async (context) => {
    const values = file === undefined ? [] : [join(temporaryFolder(context), 'values.yaml')];
    for (const path of values) writeFileSync(path, file ?? '');
    const said = [
      ...(profile === undefined ? [] : ['--values', join(CHART, `values-${profile}.yaml`)]),
      ...values.flatMap((path) => ['--values', path]),
      ...['namespace.create=true', ...set].flatMap((assignment) => ['--set', assignment]),
      ...apiVersions.flatMap((version) => ['--api-versions', version]),
    ];
    const { code, out, err } = await helm(...TEMPLATE, '--include-crds', ...said);
    assert.equal(code, 0, err);
    const ours = installation({
      ...OPTIONS,
      set,
      values,
      apiVersions,
      ...(profile !== undefined && { profile }),
    });
    const [expected, actual] = [manifests(out), manifests(ours)];
    assert.ok(expected.size > 15);
    assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort());
    for (const [key, manifest] of expected) assert.deepEqual(actual.get(key), manifest, key);
  });
}

test('Helm refuses what tulle install refuses', async () => {
  for (const wrong of [
    'image.tga=1',
    'logLevel=loud',
    'injector.timeoutSeconds=31',
    'controlPlane.replicas=many',
  ]) {
    assert.throws(() => installation({ ...OPTIONS, set: [wrong] }), /values/, wrong);
    assert.notEqual((await helm(...TEMPLATE, '--set', wrong)).code, 0, wrong);
  }
});

test('into another namespace Helm does not install: sidecars know this one', async () => {
  const { code, err } = await helm(...TEMPLATE, '--namespace', 'elsewhere');
  assert.notEqual(code, 0);
  assert.match(err, /--namespace tulle-system --create-namespace/);
});

test('helm lint finds nothing', async () => {
  for (const profile of ['ha', 'dev']) {
    const args = [
      '--strict',
      '--namespace',
      'tulle-system',
      '--values',
      join(CHART, `values-${profile}.yaml`),
    ];
    const { code, out, err } = await helm('lint', CHART, ...args);
    assert.equal(code, 0, out + err);
  }
});

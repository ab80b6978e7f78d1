import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { VERSION } from '../../protocol/version.ts';
import { readChart } from './chart.ts';
import { renderChart } from './render.ts';
import { setValues } from './values.ts';

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly webhooks?: readonly { failurePolicy: string; namespaceSelector?: object }[];
  readonly spec?: {
    template: { spec: { containers: readonly { image: string; securityContext: object }[] } };
  };
}

interface Role {
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

const chart = readChart();

function render(assignments = 'namespace.create=true'): Manifest[] {
  const values = setValues(chart.values, assignments);
  return renderChart(chart, { values, apiVersions: [] }).map((text) => parse(text));
}

test('chart and image are of the version of this package', () => {
  assert.equal(chart.about.Version, VERSION);
  assert.equal(chart.about.AppVersion, VERSION);
  const images = render().flatMap(
    ({ spec }) => spec?.template?.spec.containers.map(({ image }) => image) ?? [],
  );
  assert.deepEqual(images, [`tulle:${VERSION}`, `tulle:${VERSION}`]);
});

test('the namespace comes first and the webhooks last', () => {
  const kinds = render().map(({ kind }) => kind);
  assert.equal(kinds[0], 'Namespace');
  assert.deepEqual(kinds.slice(-2), ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']);
});

test('injection that fails closed never covers what the cluster and the mesh need to start', () => {
  const mutating = render('injector.excludedNamespaces={legacy}').find(
    ({ kind }) => kind === 'MutatingWebhookConfiguration',
  );
  assert.equal(mutating?.webhooks?.length, 2);
  for (const { failurePolicy, namespaceSelector } of mutating?.webhooks ?? []) {
    assert.equal(failurePolicy, 'Fail');
    assert.match(
      JSON.stringify(namespaceSelector),
      /"key":"kubernetes.io\/metadata.name","operator":"NotIn","values":\["kube-system","kube-node-lease","tulle-system","legacy"\]/,
    );
  }
});

test('validation never stops anybody when no injector is there', () => {
  const validating = render().find(({ kind }) => kind === 'ValidatingWebhookConfiguration');
  assert.deepEqual(
    validating?.webhooks?.map(({ failurePolicy }) => failurePolicy),
    ['Ignore', 'Ignore', 'Ignore'],
  );
});

test('a wrong value is refused with what was meant', () => {
  assert.throws(() => render('image.repositry=1'), /image\.repositry.*perhaps repository was meant/);
  assert.throws(() => render('trustDomain=Not A Domain'), /trustDomain.*write lower-case letters/);
  assert.throws(() => render('controlPlane.replicas=many'), /controlPlane\.replicas/);
});

test('a value cannot bring objects of its own', () => {
  assert.throws(() => render('image.repository="x\\n---\\nkind: ClusterRoleBinding"'), /image\.repository/);
});

test('a text that YAML would read as a number stays a text', () => {
  const values = { ...chart.values, priorityClassName: '1000' };
  const text = renderChart(chart, { values, apiVersions: [] }).join('');
  assert.equal(text.match(/priorityClassName: "1000"/g)?.length, 2);
});

test('nobody who gets hold of a token of the mesh may list or change Secrets, delete anything, or write rights', () => {
  const rules = render('controlPlane.readSecrets=true').flatMap(({ kind, metadata, ...role }) =>
    /Role$/.test(kind) && !/^tulle-(edit|view)$/.test(metadata.name) ? (role as unknown as Role).rules : [],
  );
  assert.ok(rules.length > 10);
  const allowed = ['get', 'list', 'watch', 'create', 'patch', 'update'];
  for (const { apiGroups, resources, verbs, resourceNames } of rules) {
    assert.ok(!apiGroups.includes('rbac.authorization.k8s.io'));
    assert.deepEqual(
      verbs.filter((verb) => !allowed.includes(verb)),
      [],
    );
    if (!resources.includes('secrets') || verbs.every((verb) => verb === 'create')) continue;
    const own = resourceNames?.join() === 'tulle-injector-certificate';
    assert.deepEqual(verbs, own ? ['get', 'update'] : ['get']);
  }
});

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { testAuthority } from '../../sidecar/identity/authority.fixture.ts';
import { checkInstalled, checkLeftovers, isInstalled } from './after-install.ts';
import { clusterFacts, namespace, pod } from './facts.fixture.ts';
import type { ClusterFacts } from './facts.ts';
import type { Finding } from './finding.ts';

const DAY_MS = 86_400_000;
const CRDS = new Map([['aggregates.tulle.dev', 'schema']]);
const NOW = Date.now();

let [bundle, certificate, otherBundle] = ['', '', ''];

before(async () => {
  const authority = await testAuthority();
  bundle = authority.bundlePem;
  certificate = (await authority.issue('tulle-system/injector')).chainPem;
  otherBundle = (await testAuthority('other.local')).bundlePem;
});

/** A mesh that works, with one pod in it, but for what is told. */
function mesh(told: Partial<ClusterFacts> = {}): ClusterFacts {
  return clusterFacts({
    crds: CRDS,
    namespaces: [namespace('tulle-system'), namespace('shop', 'enabled'), namespace('other')],
    pods: [pod('shop/orders-1', { proxy: { version: '1.0.0', ready: true } }), pod('other/x')],
    deployments: new Map([
      ['control-plane', { wanted: 2, ready: 2, images: ['tulle:1.0.0'] }],
      ['injector', { wanted: 2, ready: 2, images: ['registry.test:5000/tulle:1.0.0'] }],
    ]),
    services: ['control-plane', 'injector'],
    mutating: { caBundles: [bundle, bundle] },
    validating: { caBundles: [bundle] },
    servingCertificate: certificate,
    bundles: new Map([
      ['tulle-system', bundle],
      ['shop', bundle],
    ]),
    ...told,
  });
}

function wrong(facts: ClusterFacts, nowMs = NOW): string[] {
  return told(checkInstalled(facts, { version: '1.0.0', crds: CRDS, nowMs }));
}

function told(findings: readonly Finding[]): string[] {
  const found = findings.filter(({ result }) => result !== 'ok');
  for (const { remedy } of found) assert.match(remedy ?? '', /^[A-Z].*[^ ]$/);
  return found.map(({ result, check, message }) => `${result} ${check}: ${message}`);
}

test('a mesh that works has nothing wrong, but that its young root ends within the month', () => {
  assert.ok(isInstalled(mesh()));
  assert.match(wrong(mesh()).join('\n'), /^warning roots of the mesh: .* was not rotated in time$/);
});

/** Besides the root, which ends within an hour in these tests. */
function wrongBesides(told: Partial<ClusterFacts>, nowMs?: number): string {
  return wrong(mesh(told), nowMs)
    .filter((line) => !line.startsWith('warning roots'))
    .join('\n');
}

test('definitions that are missing or of another version are told with how to apply them', () => {
  assert.match(
    wrongBesides({ crds: new Map() }),
    /^error CustomResourceDefinitions: aggregates\.tulle\.dev is not/,
  );
  const crds = new Map([['aggregates.tulle.dev', 'older']]);
  assert.match(wrongBesides({ crds }), /^warning CustomResourceDefinitions: .* is of another version$/);
});

test('replicas that are not ready are told, and what their lack means', () => {
  const deployments = (ready: number) =>
    new Map([
      ['control-plane', { wanted: 2, ready: 2, images: [] }],
      ['injector', { wanted: 2, ready, images: [] }],
    ]);
  assert.match(
    wrongBesides({ deployments: deployments(1) }),
    /^warning injector: 1 of 2 replicas are ready$/,
  );
  assert.match(wrongBesides({ deployments: deployments(0) }), /^error injector: .*cannot start$/);
  const one = new Map([['injector', { wanted: 1, ready: 1, images: [] }]]);
  assert.match(wrongBesides({ deployments: one }), /^error control-plane: its Deployment is not there/);
});

test('a command, a mesh and proxies of several versions are told apart', () => {
  const deployments = new Map([
    ['control-plane', { wanted: 1, ready: 1, images: ['tulle:1.1.0'] }],
    ['injector', { wanted: 1, ready: 1, images: [`tulle@sha256:${'0'.repeat(64)}`] }],
  ]);
  assert.match(
    wrongBesides({ deployments }),
    /^warning versions: this command is 1\.0\.0, and the cluster runs 1\.1\.0$/,
  );
  const pods = [pod('shop/old', { proxy: { version: '0.9.0', ready: true } })];
  assert.match(
    wrongBesides({ pods }),
    /^warning versions: 1 pods have a proxy of another version.*shop\/old$/,
  );
});

test('webhooks that nobody can trust, or that are gone, are errors', () => {
  assert.match(wrongBesides({ mutating: undefined }), /^error webhooks: pods are not injected/);
  assert.match(wrongBesides({ mutating: { caBundles: [bundle, ''] } }), /^error webhooks: .*caBundle/);
  assert.match(wrongBesides({ validating: undefined }), /^warning webhooks/);
});

test('a caBundle of another authority than the certificate is an error', () => {
  const found = wrongBesides({ mutating: { caBundles: [bundle, otherBundle] } });
  assert.match(found, /^error the injector's certificate: the caBundle of a webhook is not of its issuer/);
  assert.equal(wrongBesides({ mutating: { caBundles: [`${otherBundle}${bundle}`] } }), '');
});

test('a certificate at its end is told before and after', () => {
  assert.match(
    wrongBesides({}, NOW + 55 * 60_000),
    /^warning the injector's certificate: .* not renewed in time/,
  );
  assert.match(wrongBesides({}, NOW + DAY_MS), /^error the injector's certificate: it ended on/m);
  assert.match(wrong(mesh(), NOW + DAY_MS).join('\n'), /^error roots of the mesh: the last one ended/m);
});

test('a Secret or a bundle with nonsense in it is an error, not a crash', () => {
  assert.match(
    wrongBesides({ servingCertificate: 'nonsense' }),
    /^error the injector's certificate: its Secret/,
  );
  const nonsense = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const bundles = new Map(['tulle-system', 'shop'].map((name) => [name, nonsense]));
  assert.match(wrong(mesh({ bundles })).join('\n'), /^error roots of the mesh: the trust bundle holds no/);
});

test('a namespace of the mesh without the bundle, or with an old one, is told', () => {
  const without = new Map([['tulle-system', bundle]]);
  assert.match(wrongBesides({ bundles: without }), /^error trust in namespaces: .* is not in shop: proxies/);
  const old = new Map([...without, ['shop', otherBundle]]);
  assert.match(wrongBesides({ bundles: old }), /^warning trust in namespaces: .* not up to date in shop$/);
});

test('pods that should be in the mesh and are not are told, and no others', () => {
  const proxy = { version: '1.0.0', ready: true };
  const pods = [
    pod('shop/old'),
    pod('other/asked', { inject: 'enabled' }),
    pod('shop/in', { proxy }),
    pod('shop/disabled', { inject: 'disabled' }),
    pod('shop/host', { hostNetwork: true }),
    pod('shop/done', { over: true }),
    pod('other/x'),
    pod('kube-system/dns', { inject: 'enabled' }),
  ];
  const bundles = new Map(['tulle-system', 'shop', 'other'].map((name) => [name, bundle]));
  assert.match(
    wrongBesides({ pods, bundles }),
    /^warning pods: 2 should be .*: shop\/old, other\/asked; they/,
  );
});

test('a proxy that is not ready is told with where its log is', () => {
  const pods = [pod('shop/in', { proxy: { version: '1.0.0', ready: false } })];
  const [finding] = checkInstalled(mesh({ pods }), { version: '1.0.0', crds: CRDS, nowMs: NOW }).filter(
    ({ check }) => check === 'pods',
  );
  assert.match(finding?.remedy ?? '', /--namespace shop logs in --container tulle-proxy$/);
});

test('of a mesh that is gone nothing may be left: a webhook stops pods, and proxies outlive their certificates', () => {
  assert.deepEqual(told(checkLeftovers(clusterFacts())), []);
  const webhook = clusterFacts({ mutating: { caBundles: [''] } });
  assert.match(told(checkLeftovers(webhook)).join(), /^error leftovers: a webhook configuration is there/);
  const proxies = clusterFacts({ pods: [pod('shop/in', { proxy: { version: '1.0.0', ready: true } })] });
  assert.match(told(checkLeftovers(proxies)).join(), /^error leftovers: no mesh is installed, .*shop\/in/);
});

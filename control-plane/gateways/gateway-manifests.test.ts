import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestCluster } from '../registry/kubernetes/cluster.fixture.ts';
import {
  allowing,
  gateway,
  listener,
  listenerSet,
  OUR_CLASS,
} from '../registry/kubernetes/gateway.fixture.ts';
import { gatewayManifests } from './gateway-manifests.ts';
import type { ProvisioningOptions } from './provisioning-options.ts';

const OPTIONS: ProvisioningOptions = {
  image: 'registry.example/tulle:1',
  serviceType: 'LoadBalancer',
  replicas: 2,
  requests: { cpu: '100m', memory: '128Mi' },
  maxReplicas: 2,
  controlPlane: 'control-plane.tulle-system.svc:7400',
};

function manifests(
  listeners: readonly object[],
  spec: object = {},
  options: Partial<ProvisioningOptions> = {},
  key = 'edge/gw',
) {
  const mesh = new TestCluster(OUR_CLASS, gateway(key, listeners, spec));
  const checked = mesh.objects.gateways.gateway(key);
  assert.ok(checked);
  return gatewayManifests(checked, { ...OPTIONS, ...options });
}

test('all that is provisioned is owned by the Gateway, so that it goes with it', () => {
  const made = manifests([listener('http')], {}, { maxReplicas: 5 });
  assert.ok(made);
  const kinds = Object.values(made).map(({ kind, metadata }) => {
    assert.deepEqual(metadata?.ownerReferences, [
      {
        apiVersion: 'gateway.networking.k8s.io/v1',
        kind: 'Gateway',
        name: 'gw',
        uid: 'uid-edge/gw',
        controller: true,
        blockOwnerDeletion: false,
      },
    ]);
    assert.equal(metadata?.name, 'gw-tulle');
    assert.equal(metadata?.namespace, 'edge');
    return kind;
  });
  assert.deepEqual(kinds, [
    'ServiceAccount',
    'Service',
    'Deployment',
    'PodDisruptionBudget',
    'HorizontalPodAutoscaler',
  ]);
});

test('the Service has a port for each of accepted listeners, and chooses the replicas', () => {
  const made = manifests([
    listener('a', { hostname: 'a.example' }),
    listener('b', { hostname: 'b.example' }),
    listener('c', { port: 8443, protocol: 'TLS', tls: { mode: 'Passthrough' } }),
    listener('odd', { port: 99, protocol: 'UDP' }),
  ]);
  const { service, deployment } = made ?? {};
  assert.deepEqual(
    service?.spec?.ports?.map(({ name, port, targetPort }) => [name, port, targetPort]),
    [
      ['http-80', 80, 80],
      ['tls-8443', 8443, 8443],
    ],
  );
  assert.equal(service?.spec?.type, 'LoadBalancer');
  const labels = deployment?.spec?.template.metadata?.labels ?? {};
  for (const [name, value] of Object.entries(service?.spec?.selector ?? {}))
    assert.equal(labels[name], value);
  assert.equal(labels['gateway.networking.k8s.io/gateway-name'], 'gw');
});

test('the Service has the ports of ListenerSets that are allowed, once each', () => {
  const ports = (spec: object) => {
    const set = [listener('more'), listener('extra', { port: 8080, hostname: 'a.example' })];
    const own = gateway('edge/gw', [listener('a', { hostname: 'a.example' })], spec);
    const mesh = new TestCluster(OUR_CLASS, own, listenerSet('edge/set', set));
    const checked = mesh.objects.gateways.gateway('edge/gw');
    assert.ok(checked);
    return gatewayManifests(checked, OPTIONS)?.service.spec?.ports?.map(({ port }) => port);
  };
  assert.deepEqual(ports(allowing('Same')), [80, 8080]);
  assert.deepEqual(ports({}), [80]);
});

test('the pod is one of the restricted standard, has no token for the API server, and is not injected', () => {
  const pod = manifests([listener('http')])?.deployment.spec?.template;
  const [container] = pod?.spec?.containers ?? [];
  assert.equal(pod?.metadata?.labels?.['tulle.dev/inject'], 'disabled');
  assert.equal(pod?.spec?.automountServiceAccountToken, false);
  assert.equal(pod?.spec?.securityContext?.runAsNonRoot, true);
  assert.deepEqual(pod?.spec?.securityContext?.sysctls, [
    { name: 'net.ipv4.ip_unprivileged_port_start', value: '0' },
  ]);
  assert.deepEqual(container?.securityContext, {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
  });
  const args = container?.args ?? [];
  for (const arg of [
    '--gateway-name=edge/gw',
    '--gateway-listen=*',
    '--namespace=edge',
    '--control-plane=control-plane.tulle-system.svc:7400',
    '--health=4191',
    '--workers=1',
  ])
    assert.ok(args.includes(arg), arg);
  const sources = pod?.spec?.volumes?.[0]?.projected?.sources;
  assert.equal(sources?.[0]?.serviceAccountToken?.audience, 'tulle');
  assert.equal(sources?.[1]?.configMap?.name, 'tulle-trust');
});

test('labels and annotations of spec.infrastructure are everywhere', () => {
  const infrastructure = {
    labels: { team: 'edge' },
    annotations: {
      'example.test/lb': 'internal',
      'tulle.dev/proxy-cpu-request': '500m',
      'tulle.dev/access-log': 'on',
    },
  };
  const made = manifests([listener('http')], { infrastructure });
  assert.ok(made);
  for (const { metadata } of [...Object.values(made), made.deployment.spec?.template ?? {}]) {
    assert.equal(metadata?.labels?.team, 'edge');
    assert.equal(metadata?.annotations?.['example.test/lb'], 'internal');
  }
  const [container] = made.deployment.spec?.template.spec?.containers ?? [];
  assert.equal(container?.resources?.requests?.cpu, '500m');
  assert.ok(container?.args?.includes('--access-log'));
});

test('an attacker who may write Gateways cannot choose the image, the account, or whose pods a Service sends to', () => {
  const infrastructure = {
    labels: {
      'gateway.networking.k8s.io/gateway-name': 'other',
      'app.kubernetes.io/managed-by': 'me',
      'tulle.dev/inject': 'enabled',
    },
    annotations: { 'tulle.dev/proxy-image': 'evil.example/shell:1' },
  };
  const made = manifests(
    [listener('http')],
    { infrastructure, addresses: [{ value: '192.0.2.1' }] },
    { serviceType: 'ClusterIP' },
  );
  const { template } = made?.deployment.spec ?? {};
  assert.equal(template?.spec?.containers[0]?.image, 'registry.example/tulle:1');
  assert.equal(template?.spec?.serviceAccountName, 'gw-tulle');
  assert.equal(template?.metadata?.labels?.['tulle.dev/inject'], 'disabled');
  assert.deepEqual(made?.service.spec?.selector, {
    'app.kubernetes.io/managed-by': 'tulle',
    'gateway.networking.k8s.io/gateway-name': 'gw',
  });
  assert.equal(template?.metadata?.labels?.['gateway.networking.k8s.io/gateway-name'], 'gw');
  assert.ok(!JSON.stringify(made?.service.spec).includes('192.0.2.1'), 'it takes no address of others');
});

test('replicas are fixed, or left to an autoscaler', () => {
  const fixed = manifests([listener('http')], {}, { replicas: 3, maxReplicas: 3 });
  assert.deepEqual([fixed?.deployment.spec?.replicas, fixed?.autoscaler], [3, undefined]);
  const scaled = manifests([listener('http')], {}, { replicas: 3, maxReplicas: 9 });
  assert.equal(scaled?.deployment.spec?.replicas, undefined);
  assert.deepEqual([scaled?.autoscaler?.spec?.minReplicas, scaled?.autoscaler?.spec?.maxReplicas], [3, 9]);
});

test('an address that is asked for is asked of the load balancer', () => {
  const made = manifests([listener('http')], { addresses: [{ type: 'IPAddress' }, { value: '192.0.2.1' }] });
  assert.equal(made?.service.spec?.loadBalancerIP, '192.0.2.1');
});

test('a Gateway that is not accepted, or of which no listener is, has nothing', () => {
  assert.equal(manifests([listener('odd', { protocol: 'UDP' })]), undefined);
  assert.equal(manifests([listener('a')], { infrastructure: { parametersRef: { name: 'x' } } }), undefined);
});

test('the name of a Gateway that is too long for a label is shortened', () => {
  const made = manifests([listener('http')], {}, {}, `edge/${'g'.repeat(100)}`);
  const label = made?.service.metadata?.labels?.['gateway.networking.k8s.io/gateway-name'];
  assert.equal(label, made?.service.metadata?.name);
  assert.ok((label?.length ?? 99) <= 63);
});

test('what a proxy asks for and may take is told by annotations; a request above its limit is lowered', () => {
  const resources = (annotations: object) =>
    manifests([listener('http')], { infrastructure: { annotations } })?.deployment.spec?.template.spec
      ?.containers[0]?.resources;
  assert.deepEqual(resources({}), { requests: { cpu: '100m', memory: '128Mi' } });
  assert.deepEqual(
    resources({
      'tulle.dev/proxy-cpu-request': '200m',
      'tulle.dev/proxy-cpu-limit': '1',
      'tulle.dev/proxy-memory-limit': '64Mi',
    }),
    { requests: { cpu: '200m', memory: '64Mi' }, limits: { cpu: '1', memory: '64Mi' } },
  );
});

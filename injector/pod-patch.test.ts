import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VERSION } from '../protocol/version.ts';
import { applyPatch } from './apply-patch.fixture.ts';
import { annotated, CONFIG, container, flag, injected, named, podOf, SHOP } from './pod.fixture.ts';
import { injectPod } from './pod-patch.ts';

const names = (list: readonly { name: string }[] | undefined) => list?.map(({ name }) => name);

test('capture comes first, the proxy second, both before what the application initialises', () => {
  const { pod, warnings } = injected(podOf({ initContainers: [container({ name: 'migrate' })] }));
  assert.deepEqual(names(pod.spec.initContainers), ['tulle-capture', 'tulle-proxy', 'migrate']);
  assert.deepEqual(names(pod.spec.containers), ['web']);
  assert.equal(named(pod, 'tulle-proxy').restartPolicy, 'Always');
  assert.equal(named(pod, 'tulle-capture').restartPolicy, undefined);
  assert.deepEqual(warnings, []);
});

test('the pod is marked with label and version', () => {
  const { metadata } = injected(podOf()).pod;
  assert.equal(metadata?.labels?.['tulle.dev/proxy'], 'enabled');
  assert.equal(metadata?.annotations?.['tulle.dev/proxy-version'], VERSION);
});

test("the application's image, ports, environment and volumes stay as they are", () => {
  const web = container({
    ports: [{ name: 'http', containerPort: 8080 }],
    env: [{ name: 'A', value: 'b' }],
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
    lifecycle: { preStop: { exec: { command: ['sleep', '3'] } } },
  });
  const volumes = [{ name: 'data', emptyDir: {} }];
  const { pod } = injected(podOf({ containers: [web], volumes }));
  assert.deepEqual(pod.spec.containers, [web]);
  assert.deepEqual(names(pod.spec.volumes), ['data', 'tulle-identity']);
});

test('applied to its own result it changes nothing, for every kind of pod', () => {
  const probe = { tcpSocket: { port: 5432 } };
  const pods = [
    podOf(),
    podOf({}, {}),
    podOf({ initContainers: [], volumes: [] }, { labels: {}, annotations: {} }),
    podOf({ containers: [container({ livenessProbe: probe, lifecycle: {} }), container({ name: 'b' })] }),
    podOf({ initContainers: [container({ name: 's', restartPolicy: 'Always', startupProbe: probe })] }),
    annotated(
      { 'tulle.dev/native-sidecar': 'disabled' },
      { containers: [container({ readinessProbe: probe })] },
    ),
    { spec: podOf().spec },
  ];
  for (const pod of pods) {
    const once = injected(pod);
    assert.ok(once.steps > 0);
    assert.equal(injected(once.pod).steps, 0, JSON.stringify(pod));
  }
});

test('what the API server fills in afterwards does not make it inject again', () => {
  const { pod } = injected(podOf());
  for (const one of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    one.imagePullPolicy = 'IfNotPresent';
    one.terminationMessagePath = '/dev/termination-log';
    one.volumeMounts = [
      ...(one.volumeMounts ?? []),
      { name: 'kube-api-access', mountPath: '/var/run/secrets' },
    ];
  }
  assert.equal(injected(pod).steps, 0);
});

test('a container that another webhook adds later gets its probes and hook, and the proxy is told', () => {
  const first = injected(
    podOf({ containers: [container({ livenessProbe: { tcpSocket: { port: 80 } } })] }),
  ).pod;
  first.spec.containers.push(
    container({
      name: 'agent',
      readinessProbe: { tcpSocket: { port: 'db' } },
      ports: [{ name: 'db', containerPort: 5432 }],
    }),
    container({ name: 'other', readinessProbe: { httpGet: { port: 81, path: '/ok' } } }),
  );
  const { pod } = injected(first);
  assert.equal(named(pod, 'agent').readinessProbe?.httpGet?.path, '/probe/tcp/5432');
  assert.deepEqual(named(pod, 'agent').lifecycle?.preStop, { sleep: { seconds: 5 } });
  assert.deepEqual(JSON.parse(flag(pod, 'probes') ?? ''), [
    { port: 80, tcp: true },
    { port: 5432, tcp: true },
    { port: 81, path: '/ok' },
  ]);
  assert.deepEqual(JSON.parse(pod.metadata?.annotations?.['tulle.dev/changes'] ?? ''), {
    preStop: ['web', 'agent', 'other'],
    tcpProbes: { 'web.livenessProbe': { port: 80 }, 'agent.readinessProbe': { port: 'db' } },
  });
  assert.equal(injected(pod).steps, 0);
});

test('as a plain container the proxy holds back the others, and is captured after what initialises', () => {
  const pod = annotated(
    { 'tulle.dev/native-sidecar': 'disabled' },
    { initContainers: [container({ name: 'migrate' })] },
  );
  const { pod: plain, warnings } = injected(pod);
  assert.deepEqual(names(plain.spec.initContainers), ['migrate', 'tulle-capture']);
  assert.deepEqual(names(plain.spec.containers), ['tulle-proxy', 'web']);
  const proxy = named(plain, 'tulle-proxy');
  assert.deepEqual(proxy.lifecycle?.postStart?.exec?.command, ['tulle', 'sidecar-wait', '--health', '4191']);
  assert.deepEqual(proxy.lifecycle?.preStop, { sleep: { seconds: 5 } });
  assert.equal(proxy.restartPolicy, undefined);
  // kubectl logs and exec go to the application as ever.
  assert.equal(plain.metadata?.annotations?.['kubectl.kubernetes.io/default-container'], 'web');
  assert.deepEqual(warnings, ['init containers run before the proxy, and call outside the mesh: migrate']);
});

test('a cluster without native sidecars gets a plain container, and a Job is told that it would not end', () => {
  const { pod, warnings } = injected(podOf({ restartPolicy: 'Never' }), SHOP, {
    cluster: { major: 1, minor: 28 },
  });
  assert.deepEqual(names(pod.spec.containers), ['tulle-proxy', 'web']);
  assert.equal(named(pod, 'web').lifecycle, undefined, 'there is no sleep action there');
  assert.deepEqual(warnings, [
    'the pod does not complete (restartPolicy Never) while the proxy runs as a plain container',
  ]);
  const asked = injected(annotated({ 'tulle.dev/native-sidecar': 'enabled' }), SHOP, {
    cluster: { major: 1, minor: 28 },
  });
  assert.match(asked.warnings[0] ?? '', /Kubernetes 1.28 has no native sidecars/);
});

test('with a CNI plugin no container has NET_ADMIN', () => {
  const { pod } = injected(podOf(), SHOP, { cni: true });
  assert.deepEqual(names(pod.spec.initContainers), ['tulle-proxy']);
  assert.equal(injected(pod, SHOP, { cni: true }).steps, 0);
});

test('annotations of the namespace are the default for its pods', () => {
  const annotations = {
    'tulle.dev/proxy-log-level': 'warn',
    'tulle.dev/access-log': 'on',
    'tulle.dev/opaque-ports': '3306, 6379',
    'tulle.dev/mtls': 'strict',
  };
  const { pod } = injected(annotated({ 'tulle.dev/proxy-log-level': 'debug' }), { ...SHOP, annotations });
  assert.equal(flag(pod, 'log-level'), 'debug');
  assert.equal(flag(pod, 'mtls'), 'strict');
  assert.ok(named(pod, 'tulle-proxy').args?.includes('--access-log'));
  assert.equal(flag(pod, 'opaque-ports'), '3306,6379');
});

test('a wrong annotation never blocks a pod: the default holds, and a warning says what was meant', () => {
  const { pod, warnings } = injected(
    annotated({ 'tulle.dev/proxy-workers': 'many', 'tulle.dev/retries': '3' }),
  );
  assert.equal(flag(pod, 'workers'), undefined);
  assert.deepEqual(warnings, [
    'annotations.tulle.dev/proxy-workers: "many" is not a number of processes; write a whole number from 1 to 64',
    'annotations.tulle.dev/retries: "3" does nothing on a pod: tulle.dev/retries is read on a Service or Namespace; write it there',
  ]);
});

test('annotations steer the proxy and the capture', () => {
  const { pod, warnings } = injected(
    annotated({
      'tulle.dev/proxy-image': 'other/tulle:2',
      'tulle.dev/proxy-workers': '2',
      'tulle.dev/skip-inbound-ports': '9000,4191',
      'tulle.dev/skip-outbound-ports': '25',
      'tulle.dev/skip-outbound-cidrs': '10.0.0.0/8',
    }),
    SHOP,
    { imagePullPolicy: 'Always' },
  );
  assert.deepEqual(warnings, []);
  for (const name of ['tulle-proxy', 'tulle-capture']) {
    assert.equal(named(pod, name).image, 'other/tulle:2');
    assert.equal(named(pod, name).imagePullPolicy, 'Always');
  }
  assert.equal(flag(pod, 'workers'), '2');
  assert.equal(flag(pod, 'skip-inbound-ports', 'tulle-capture'), '4191,9000');
  assert.equal(flag(pod, 'skip-outbound-ports', 'tulle-capture'), '25');
  assert.equal(flag(pod, 'skip-outbound-cidrs', 'tulle-capture'), '10.0.0.0/8');
});

test('the proxy runs as Pod Security restricted asks, whatever the pod says of itself', () => {
  const spec = {
    securityContext: { runAsUser: 0, runAsNonRoot: true, fsGroup: 1 },
    shareProcessNamespace: true,
  };
  const { pod } = injected(podOf(spec));
  assert.deepEqual(named(pod, 'tulle-proxy').securityContext, {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    privileged: false,
    readOnlyRootFilesystem: true,
    runAsGroup: 2102,
    runAsNonRoot: true,
    runAsUser: 2102,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  const { runAsUser, runAsNonRoot, capabilities, allowPrivilegeEscalation } =
    named(pod, 'tulle-capture').securityContext ?? {};
  assert.deepEqual(
    { runAsUser, runAsNonRoot, capabilities, allowPrivilegeEscalation },
    {
      runAsUser: 0,
      runAsNonRoot: false,
      capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
      allowPrivilegeEscalation: false,
    },
  );
  assert.deepEqual(pod.spec.securityContext, spec.securityContext);
});

test('the proxy has its token, the roots, its name, and waits to be ready', () => {
  const { pod } = injected(podOf());
  const proxy = named(pod, 'tulle-proxy');
  assert.deepEqual(
    proxy.env?.map(({ name, valueFrom }) => [name, valueFrom?.fieldRef?.fieldPath]),
    [
      ['POD_NAMESPACE', 'metadata.namespace'],
      ['POD_NAME', 'metadata.name'],
      ['POD_IPS', 'status.podIPs'],
      ['POD_SERVICE_ACCOUNT', 'spec.serviceAccountName'],
    ],
  );
  assert.equal(flag(pod, 'token-file'), '/var/run/tulle/token/token');
  assert.equal(flag(pod, 'bundle'), '/var/run/tulle/trust/bundle.pem');
  assert.equal(flag(pod, 'control-plane'), CONFIG.controlPlane);
  assert.deepEqual(pod.spec.volumes?.[0]?.projected?.sources?.[0]?.serviceAccountToken, {
    audience: 'tulle',
    expirationSeconds: 3600,
    path: 'token/token',
  });
  assert.equal(proxy.startupProbe?.httpGet?.path, '/readyz');
  assert.equal(proxy.readinessProbe?.httpGet?.path, '/readyz');
  assert.equal(proxy.livenessProbe?.httpGet?.path, '/livez');
});

test('a path of the application with $(NAME) in it is not filled in by the kubelet', () => {
  const probe = { httpGet: { port: 80, path: '/$(POD_IPS)/$5' } };
  const { pod } = injected(podOf({ containers: [container({ livenessProbe: probe })] }));
  // $$ is how the kubelet is told of a $ (the documentation of Container.args).
  assert.equal(flag(pod, 'probes'), '[{"port":80,"path":"/$$(POD_IPS)/$$5"}]');
  assert.equal(injected(pod).steps, 0);
});

test('a pod that uses the name of the proxy is refused, and nothing of it is changed', () => {
  const result = injectPod(podOf({ containers: [container({ name: 'tulle-proxy' })] }), SHOP, CONFIG);
  assert.equal(result.outcome, 'refused');
});

test('a patch adds to what is there: it replaces no mapping and no list of the pod', () => {
  const pod = podOf(
    { volumes: [{ name: 'v' }], initContainers: [container({ name: 'i' })] },
    { labels: { a: 'b' }, annotations: { c: 'd/e~f' } },
  );
  const result = injectPod(pod, SHOP, CONFIG);
  assert.ok(result.outcome === 'injected');
  assert.deepEqual(
    result.patch.map(({ op, path }) => `${op} ${path}`),
    [
      'add /metadata/labels/tulle.dev~1proxy',
      'add /metadata/annotations/tulle.dev~1proxy-version',
      'add /metadata/annotations/tulle.dev~1changes',
      'add /spec/containers/0/lifecycle',
      'add /spec/initContainers/0',
      'add /spec/initContainers/1',
      'add /spec/volumes/1',
    ],
  );
  assert.equal(applyPatch(pod, result.patch).metadata?.annotations?.c, 'd/e~f');
});

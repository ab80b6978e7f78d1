import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import type { V1Container, V1Pod, V1PodSpec } from '@kubernetes/client-node';
import { add } from '../../injector/json-patch.ts';
import { issueServingCertificate } from '../../injector/serving-certificate.ts';
import { openWebhook } from '../../injector/webhook.ts';
import { until } from '../fixture/wait.ts';
import { create, created, get, kubectl } from './api-objects.ts';
import { registerWebhooks, servedCertificate, type Webhooks } from './running-injector.ts';

const ENABLED = { 'tulle.dev/inject': 'enabled' };

/** A pod that no node takes: what the API server makes of it is what is looked at. */
function pod(namespace: string, spec: Partial<V1PodSpec> = {}, metadata: V1Pod['metadata'] = {}): V1Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'web-', namespace, ...metadata },
    spec: nowhere(spec),
  };
}

function nowhere(spec: Partial<V1PodSpec> = {}): V1PodSpec {
  return {
    nodeSelector: { 'tulle.dev/nowhere': 'true' },
    containers: [{ name: 'web', image: 'web.test/web:1' }],
    ...spec,
  };
}

const names = (containers: V1Container[] | undefined) => (containers ?? []).map(({ name }) => name);

test('pods of a namespace with the label get capture and proxy, as the API server stores them', async (t) => {
  const webhooks = await registerWebhooks(t);
  const shop = await webhooks.namespace('shop', ENABLED, { 'tulle.dev/mtls': 'strict' });
  const plain = await webhooks.namespace('plain');
  await webhooks.start();

  await t.test('a pod with all that can be in the way', async () => {
    const spec: Partial<V1PodSpec> = {
      shareProcessNamespace: true,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, fsGroup: 3000 },
      hostAliases: [{ ip: '127.0.0.1', hostnames: ['x.test'] }],
      initContainers: [{ name: 'migrate', image: 'web.test/web:1' }],
      containers: [
        {
          name: 'web',
          image: 'web.test/web:1',
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { httpGet: { port: 'http', path: '/healthz?$(X)' } },
          livenessProbe: { tcpSocket: { port: 'http' }, periodSeconds: 7 },
          startupProbe: { grpc: { port: 9000 } },
        },
      ],
    };
    const stored = await created<V1Pod>(pod(shop, spec));
    assert.deepEqual(names(stored.spec?.initContainers), ['tulle-capture', 'tulle-proxy', 'migrate']);
    const [capture, proxy] = stored.spec?.initContainers ?? [];
    assert.deepEqual(capture?.securityContext?.capabilities, {
      add: ['NET_ADMIN'],
      drop: ['ALL'],
    });
    assert.equal(proxy?.restartPolicy, 'Always');
    assert.equal(proxy?.securityContext?.runAsUser, 2102);
    assert.ok(proxy?.args?.includes('--mtls=strict'));
    const told = '[{"port":9000,"grpc":""},{"port":8080,"path":"/healthz?$$(X)"},{"port":8080,"tcp":true}]';
    assert.ok(proxy?.args?.includes(`--probes=${told}`), String(proxy?.args));
    const [web] = stored.spec?.containers ?? [];
    assert.equal(web?.livenessProbe?.httpGet?.path, '/probe/tcp/8080');
    assert.equal(web?.livenessProbe?.periodSeconds, 7);
    assert.equal(web?.readinessProbe?.httpGet?.port, 'http');
    assert.equal(web?.lifecycle?.preStop?.sleep?.seconds, 5);
    assert.equal(stored.metadata?.labels?.['tulle.dev/proxy'], 'enabled');
  });

  await t.test(
    'what the API server stored is injected already: nothing changes when it is created again',
    async () => {
      const first = await created<V1Pod>(pod(shop));
      const again = await created<V1Pod>(
        pod(shop, first.spec, {
          labels: first.metadata?.labels ?? {},
          annotations: first.metadata?.annotations ?? {},
        }),
      );
      assert.deepEqual(again.spec?.containers, first.spec?.containers);
      assert.deepEqual(again.spec?.initContainers, first.spec?.initContainers);
      assert.deepEqual(again.metadata?.annotations, first.metadata?.annotations);
    },
  );

  await t.test('the label of the pod wins over its namespace', async () => {
    const out = await created<V1Pod>(pod(shop, {}, { labels: { 'tulle.dev/inject': 'disabled' } }));
    assert.equal(out.spec?.initContainers, undefined);
    const within = await created<V1Pod>(pod(plain, {}, { labels: ENABLED }));
    assert.deepEqual(names(within.spec?.initContainers), ['tulle-capture', 'tulle-proxy']);
    const other = await created<V1Pod>(pod(plain));
    assert.equal(other.spec?.initContainers, undefined);
  });

  await t.test("host network and Tulle's own namespace are left alone", async () => {
    const host = await created<V1Pod>(pod(shop, { hostNetwork: true }));
    assert.equal(host.spec?.initContainers, undefined);
    const own = await created<V1Pod>(pod(webhooks.system));
    assert.equal(own.spec?.initContainers, undefined);
  });

  await t.test('a plain container, when the pod asks for it', async () => {
    const annotations = { 'tulle.dev/native-sidecar': 'disabled' };
    const answer = await create<V1Pod>(
      pod(shop, { initContainers: [{ name: 'migrate', image: 'a' }] }, { annotations }),
    );
    assert.deepEqual(names(answer.stored?.spec?.initContainers), ['migrate', 'tulle-capture']);
    assert.deepEqual(names(answer.stored?.spec?.containers), ['tulle-proxy', 'web']);
    assert.match(
      answer.err,
      /Warning: init containers run before the proxy, and call outside the mesh: migrate/,
    );
  });

  await t.test('a wrong annotation is a warning, and the pod runs by the default', async () => {
    const annotations = { 'tulle.dev/proxy-cpu-requets': '1', 'tulle.dev/proxy-memory-request': 'lots' };
    const { stored, err } = await create<V1Pod>(pod(shop, {}, { annotations }));
    assert.match(
      err,
      /Warning: annotations.tulle.dev\/proxy-cpu-requets: .*perhaps tulle.dev\/proxy-cpu-request was meant/,
    );
    assert.match(err, /"lots" is not an amount of memory; write bytes with a unit, like 96Mi/);
    assert.deepEqual(stored?.spec?.initContainers?.[1]?.resources?.requests, { cpu: '50m', memory: '96Mi' });
  });

  await t.test('a limit below the default request does not make a pod that is refused', async () => {
    const annotations = { 'tulle.dev/proxy-cpu-limit': '20m', 'tulle.dev/proxy-memory-limit': '64Mi' };
    const stored = await created<V1Pod>(pod(shop, {}, { annotations }));
    assert.deepEqual(stored.spec?.initContainers?.[1]?.resources?.requests, { cpu: '20m', memory: '64Mi' });
  });

  await t.test('a pod with a budget as a whole is taken', async () => {
    const resources = { requests: { cpu: '10m', memory: '10Mi' } };
    const containers = [{ name: 'web', image: 'a', resources: { requests: { cpu: '10m', memory: '10Mi' } } }];
    await created(pod(shop, { resources, containers }));
  });

  await t.test('a container that takes the name of the proxy to escape the mesh is refused', async () => {
    const { err, code } = await create(
      pod(shop, { containers: [{ name: 'tulle-proxy', image: 'evil.test/evil' }] }),
    );
    assert.notEqual(code, 0);
    assert.match(err, /the container name tulle-proxy is kept for what Tulle injects/);
  });

  await t.test(
    'Pod Security baseline and restricted refuse the init container with NET_ADMIN, and say so',
    async () => {
      for (const level of ['baseline', 'restricted']) {
        const namespace = await webhooks.namespace(level, {
          ...ENABLED,
          'pod-security.kubernetes.io/enforce': level,
        });
        const { err } = await create(pod(namespace));
        assert.match(err, new RegExp(`violates PodSecurity "${level}.*NET_ADMIN`));
        assert.match(err, /tulle-capture/);
        assert.doesNotMatch(err, /tulle-proxy/);
      }
    },
  );

  await t.test(
    'a container that a later webhook adds is seen to, since the API server asks again',
    async (sub) => {
      await addAgentLater(sub, webhooks);
      const stored = await created<V1Pod>(pod(shop, {}, { labels: { late: 'true' } }));
      assert.deepEqual(names(stored.spec?.containers), ['web', 'agent']);
      assert.equal(stored.spec?.containers[1]?.readinessProbe?.httpGet?.path, '/probe/tcp/7000');
      assert.deepEqual(names(stored.spec?.initContainers), ['tulle-capture', 'tulle-proxy']);
      assert.ok(stored.spec?.initContainers?.[1]?.args?.includes('--probes=[{"port":7000,"tcp":true}]'));
    },
  );

  await t.test('pods that controllers make: Deployment, StatefulSet, Job, CronJob', async () => {
    const metadata = (name: string) => ({ name, namespace: shop });
    const template = { metadata: { labels: { app: 'x' } }, spec: nowhere() };
    const selector = { matchLabels: { app: 'x' } };
    const once = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
    await created({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: metadata('d'),
      spec: { selector, template },
    });
    await created({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: metadata('s'),
      spec: { selector, template, serviceName: 's' },
    });
    await created({ apiVersion: 'batch/v1', kind: 'Job', metadata: metadata('j'), spec: { template: once } });
    const jobTemplate = { spec: { template: once } };
    await created({
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: metadata('c'),
      spec: { schedule: '0 0 1 1 *', jobTemplate },
    });
    await kubectl(['create', 'job', 'now', '--from=cronjob/c', '-n', shop]);
    const of = async (owner: string) => {
      const { items } = await get<{ items: V1Pod[] }>('pods', '-n', shop);
      return items.find(({ metadata: { name = '' } = {} }) => name.startsWith(`${owner}-`));
    };
    for (const owner of ['d', 's', 'j', 'now']) {
      await until(`a pod of ${owner}`, async () => (await of(owner)) !== undefined);
      assert.deepEqual(
        names((await of(owner))?.spec?.initContainers),
        ['tulle-capture', 'tulle-proxy'],
        owner,
      );
    }
  });

  await t.test('wrong annotations on Service and Namespace are warnings of the API server', async () => {
    const service = { apiVersion: 'v1', kind: 'Service', spec: { ports: [{ port: 80 }] } };
    const annotations = { 'tulle.dev/timeout': 'soon' };
    const answer = await create({ ...service, metadata: { name: 'web', namespace: shop, annotations } });
    assert.equal(answer.code, 0);
    assert.match(
      answer.err,
      /Warning: annotations.tulle.dev\/timeout: "soon" is not a duration; write a number/,
    );
    const label = await kubectl(['label', 'namespace', plain, 'tulle.dev/inject=true']);
    assert.match(label.err, /Warning: labels.tulle.dev\/inject: "true" is neither enabled nor disabled/);
  });
});

test('an injector that is away: no pod runs outside the mesh in silence, and all else goes on', async (t) => {
  const webhooks = await registerWebhooks(t);
  const shop = await webhooks.namespace('shop', ENABLED);
  const plain = await webhooks.namespace('plain');
  const injector = await webhooks.start();
  await created(pod(shop));
  await injector.end('SIGTERM');
  const { err, code } = await create(pod(shop));
  assert.notEqual(code, 0);
  assert.match(err, /failed calling webhook "namespaces.injector.tulle.dev"/);
  await created(pod(plain));
  await created(pod(webhooks.system));
  await created(pod(shop, {}, { labels: { 'tulle.dev/inject': 'disabled' } }));
  await created(pod(shop, { hostNetwork: true }));
  const service = { apiVersion: 'v1', kind: 'Service', spec: { ports: [{ port: 80 }] } };
  await created({
    ...service,
    metadata: { name: 'web', namespace: shop, annotations: { 'tulle.dev/timeout': 'x' } },
  });
  await webhooks.start();
  await created(pod(shop));
});

test('a certificate near its end is replaced while the API server goes on calling', async (t) => {
  const webhooks = await registerWebhooks(t);
  const shop = await webhooks.namespace('shop', ENABLED);
  const day = 24 * 3_600_000;
  // 90 days of life, of which 80 are over.
  const old = await issueServingCertificate([webhooks.host], 90 * day, Date.now() - 80 * day);
  await storeCertificate(webhooks, old);
  await webhooks.start();
  const oldPrint = new X509Certificate(old.certificatePem).fingerprint256;
  assert.equal(await servedCertificate(webhooks), oldPrint, 'the next one is announced first');
  assert.equal((await trusted(webhooks)).length, 2);
  await until('the new certificate to be served, pods being created all the while', async () => {
    await created(pod(shop), '--dry-run=server');
    return (await servedCertificate(webhooks)) !== oldPrint;
  });
  await created(pod(shop));
  assert.ok((await trusted(webhooks)).includes(await servedCertificate(webhooks)));
});

test('replicas share one certificate', async (t) => {
  const webhooks = await registerWebhooks(t);
  const first = await webhooks.start();
  const print = await servedCertificate(webhooks);
  await first.end('SIGTERM');
  await webhooks.start();
  assert.equal(await servedCertificate(webhooks), print);
  assert.deepEqual(await trusted(webhooks), [print]);
});

/** Another webhook, called after Tulle's by its name, that adds a container to pods with the label `late`. */
async function addAgentLater(context: TestContext, { id, host }: Webhooks): Promise<void> {
  const certificate = await issueServingCertificate([host], 3_600_000);
  const agent = { name: 'agent', image: 'a.test/a', readinessProbe: { tcpSocket: { port: 7000 } } };
  const server = await openWebhook({ host, port: 0 }, certificate, {
    '/add': async () => ({ allowed: true, patch: [add(['spec', 'containers', '-'], agent)] }),
  });
  const name = `zz-${id}`;
  context.after(async () => {
    await kubectl(['delete', 'mutatingwebhookconfiguration', name]);
    await server.close();
  });
  const caBundle = Buffer.from(certificate.certificatePem).toString('base64');
  await created({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name },
    webhooks: [
      {
        name: 'add.agent.test',
        admissionReviewVersions: ['v1'],
        clientConfig: { url: `https://${server.address}/add`, caBundle },
        namespaceSelector: { matchLabels: { 'tulle.dev/test': id } },
        objectSelector: { matchLabels: { late: 'true' } },
        rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
        sideEffects: 'None',
      },
    ],
  });
  const probe = pod(`${id}-plain`, {}, { labels: { late: 'true' } });
  await until('the API server to know of the other webhook', async () => {
    const stored = await created<V1Pod>(probe, '--dry-run=server');
    return stored.spec?.containers.length === 2;
  });
}

async function storeCertificate(
  { system }: Webhooks,
  { certificatePem, keyPem }: { certificatePem: string; keyPem: string },
): Promise<void> {
  await created({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'tulle-injector-certificate', namespace: system },
    type: 'kubernetes.io/tls',
    stringData: { 'tls.crt': certificatePem, 'tls.key': keyPem, 'ca.crt': certificatePem },
  });
}

/** Fingerprints of the certificates in all of the configurations' bundles, which must be the same. */
async function trusted({ id }: Webhooks): Promise<string[]> {
  const bundles = new Set<string>();
  for (const kind of ['mutatingwebhookconfiguration', 'validatingwebhookconfiguration']) {
    const { webhooks } = await get<{ webhooks: { clientConfig: { caBundle: string } }[] }>(kind, id);
    for (const { clientConfig } of webhooks)
      bundles.add(Buffer.from(clientConfig.caBundle, 'base64').toString());
  }
  assert.equal(bundles.size, 1);
  const pems = [...bundles].join('').match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
  return pems.map((pem) => new X509Certificate(pem).fingerprint256);
}
